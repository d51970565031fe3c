"""``metaphase evaluate``: score detections against labels, choose and freeze thresholds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, option, out_file
from metaphase.cli.othertools import OtherTools, notes_on
from metaphase.evaluation.bootstrap import Method
from metaphase.evaluation.matching import Rule
from metaphase.evaluation.protocols import Protocol
from metaphase.units import MATCH_RADIUS_UM

if TYPE_CHECKING:
    from metaphase.cli.othertools import Found
    from metaphase.evaluation.scores import Scores
    from metaphase.labels.dataset import Dataset

app = typer.Typer(add_completion=False)

_CASES, _MATCH, _THRESHOLD, _RESULT = "Which cases", "How it is scored", "Threshold", "Results"
_FOREIGN = "Detections of other tools"


@app.command(
    cls=command_class(
        renamed={
            "--json": "--out",
            "--cases": "--case-table",
            "--kind": "--detections-format",
            "--store": "--save-threshold-in",
        },
        needs={
            "--part": "--split",
            "--check-pixels": "--split",
            "--save-threshold-in": "--choose-threshold",
        },
        excludes={"--choose-threshold": ("--threshold",)},
    )
)
def evaluate(
    detections: Annotated[Path, argument("detections")],
    labels: Annotated[Path, option("--labels")],
    images: Annotated[Path | None, option("--images", panel=_CASES)] = None,
    case_table: Annotated[Path | None, option("--case-table", panel=_CASES)] = None,
    split: Annotated[Path | None, option("--split", panel=_CASES)] = None,
    part: Annotated[
        str | None,
        option("--part", panel=_CASES, default="test; validation with --choose-threshold"),
    ] = None,
    labelled_only: Annotated[bool, option("--labelled-only", panel=_CASES)] = False,
    allow_missing: Annotated[bool, option("--allow-missing", panel=_CASES)] = False,
    check_pixels: Annotated[bool, option("--check-pixels", panel=_CASES)] = False,
    detections_format: Annotated[str | None, option("--detections-format", panel=_FOREIGN)] = None,
    mpp: Annotated[float | None, option("--mpp", panel=_FOREIGN)] = None,
    truth: Annotated[Path | None, option("--truth", panel=_FOREIGN, default="--labels")] = None,
    absent_is_empty: Annotated[bool, option("--absent-is-empty", panel=_FOREIGN)] = False,
    radius_um: Annotated[float, option("--radius-um", panel=_MATCH)] = MATCH_RADIUS_UM,
    rule: Annotated[Rule, option("--rule", panel=_MATCH)] = "midog",
    protocol: Annotated[Protocol, option("--protocol", panel=_MATCH)] = "whole",
    seed: Annotated[int, option("--seed", panel=_MATCH)] = 0,
    threshold: Annotated[float | None, option("--threshold", panel=_THRESHOLD)] = None,
    choose: Annotated[bool, option("--choose-threshold", panel=_THRESHOLD)] = False,
    save_threshold_in: Annotated[
        Path | None, option("--save-threshold-in", panel=_THRESHOLD)
    ] = None,
    by: Annotated[str | None, option("--by", panel=_RESULT, default="all that are known")] = None,
    per_case: Annotated[bool, option("--per-case", panel=_RESULT)] = False,
    resamples: Annotated[int, option("--resamples", panel=_RESULT)] = 2000,
    intervals: Annotated[Method, option("--intervals", panel=_RESULT)] = "bca",
    compare: Annotated[list[Path] | None, option("--compare", panel=_RESULT)] = None,
    out: Annotated[Path | None, out_file(panel=_RESULT, default="print only")] = None,
) -> None:
    """Score detections against labels: whole regions, one-to-one, all cases pooled.

    A case without detections is an error, not zero detections. Unlabelled cases are refused.
    Without --threshold the model's frozen one counts; files of other tools may tell none, and then
    all that they hold counts. Intervals are 95 %, by bootstrap over cases.
    """
    from rich.console import Console

    from metaphase.evaluation.evaluate import evaluate as score
    from metaphase.evaluation.intervals import with_intervals
    from metaphase.evaluation.scoresfile import save_scores
    from metaphase.evaluation.tables import print_scores

    _check_part(choose, part)
    _check_domain(by)
    part = part or ("validation" if choose else "test")
    dataset = _cases(labels, images, case_table, split, part, labelled_only, check_pixels)
    matching: dict[str, Any] = {
        "radius_um": radius_um,
        "rule": rule,
        "allow_missing": allow_missing,
    }
    tools = OtherTools(labels, kind=detections_format, mpp=mpp, truth=truth, empty=absent_is_empty)
    found = tools.found(detections, dataset)
    console = Console()
    if choose:
        threshold = _choose(found, dataset, matching, save_threshold_in, console)

    def scored(found: Found) -> Scores:
        scores = score(
            found, dataset, threshold=threshold, protocol=protocol, seed=seed, **matching
        )
        scores = replace(scores, notes=(*scores.notes, *notes_on(found, threshold)))
        if not resamples:
            return scores
        return with_intervals(
            scores, resamples=resamples, method=intervals, strata=by or "scanner", seed=seed
        )

    scores = scored(found)
    print_scores(scores, console, by=by, per_case=per_case)

    def scored_other(path: Path) -> Scores:
        return scored(tools.found(path, dataset))

    differences = _compare(
        scores, compare or [], scored_other, console, resamples, intervals, seed, by, detections
    )
    if out is not None:
        save_scores(scores, out, comparisons=differences)
        typer.echo(out)


def _check_part(choose: bool, part: str | None) -> None:
    if choose and part == "test":
        raise typer.BadParameter(
            "a threshold must not be chosen on the test part: choose it on the validation part"
        )


def _check_domain(by: str | None) -> None:
    from metaphase.labels.dataset import DOMAINS

    if by is not None and by not in DOMAINS:
        raise typer.BadParameter(f"--by is one of {', '.join(DOMAINS)}, not {by!r}")


def _cases(
    labels: Path,
    images: Path | None,
    cases: Path | None,
    split: Path | None,
    part: str,
    labelled_only: bool,
    check_pixels: bool,
) -> Dataset:
    from metaphase.labels.read import load_dataset
    from metaphase.labels.splits import check_split, load_split

    dataset = load_dataset(labels, images=images, cases=cases)
    if split is not None:
        loaded = load_split(split)
        check_split(loaded, dataset)
        parts = loaded.parts()
        if part not in parts or not parts[part]:
            some = ", ".join(name for name, ids in parts.items() if ids)
            raise typer.BadParameter(f"{split} has no cases in {part!r}, but in: {some}")
        if check_pixels:
            _refuse_same_pixels({name: dataset.select(ids) for name, ids in parts.items() if ids})
        dataset = dataset.select(parts[part])
    return dataset.labelled() if labelled_only else dataset


def _refuse_same_pixels(parts: dict[str, Dataset]) -> None:
    from rich.console import Console

    from metaphase.evaluation.leakage.images import refuse_shared_images

    with Console(stderr=True).status("comparing images") as status:
        refuse_shared_images(
            parts, progress=lambda case: status.update(f"comparing images: {case}")
        )


def _choose(
    detections: Found,
    dataset: Dataset,
    matching: dict[str, Any],
    store: Path | None,
    console: Any,
) -> float:
    from metaphase.evaluation.thresholds import bagged_threshold, freeze_threshold, protocol_text

    value, f1 = bagged_threshold(detections, dataset, **matching)
    console.print(
        f"Threshold {value:g} is chosen on these {len(dataset)} cases (F1 {f1:.3f}), so their "
        "scores below flatter it.",
        highlight=False,
    )
    if store is not None:
        model = freeze_threshold(
            store,
            value,
            chosen_on=f"{dataset.name or 'data set'}: {len(dataset)} cases",
            protocol=protocol_text(matching["radius_um"], matching["rule"]),
            f1=f1,
        )
        console.print(f"Frozen in {model.folder}, which is now {model.id[:12]}.", highlight=False)
    return value


def _compare(
    scores: Scores,
    others: list[Path],
    scored: Any,
    console: Any,
    resamples: int,
    method: Method,
    seed: int,
    by: str | None,
    detections: Path,
) -> list[dict[str, Any]]:
    from metaphase.evaluation.comparison import compare
    from metaphase.evaluation.scoresfile import is_scores, load_scores
    from metaphase.evaluation.tables import comparison

    told = []
    for path in others:
        other = load_scores(path) if is_scores(path) else scored(path)
        found = compare(
            other,
            scores,
            resamples=resamples or 2000,
            method=method,
            strata=by or "scanner",
            seed=seed,
        )
        console.print(comparison(found, path.stem, detections.name))
        told.append(
            {"first": str(path), **{name: value.to_dict() for name, value in found.items()}}
        )
    return told
