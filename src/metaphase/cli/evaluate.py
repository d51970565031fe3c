"""``metaphase evaluate``: score detections against labels, choose and freeze thresholds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, check_truth, option, out_file
from metaphase.evaluation.bootstrap import Method
from metaphase.evaluation.matching import Rule
from metaphase.evaluation.protocols import Protocol
from metaphase.radii import MATCH_RADIUS_UM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from metaphase.evaluation.scores import Scores
    from metaphase.evaluation.settings import EvaluationSettings
    from metaphase.exchange.foreigndetections import ForeignDetections
    from metaphase.figures import Detections
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
    merge_radius_um: Annotated[float | None, option("--merge-radius-um", panel=_FOREIGN)] = None,
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
    """Score detections against labels: whole regions, one-to-one matching, all cases pooled.

    Cases without detections and unlabelled cases are errors. By default the threshold is the one
    stored in the model; files of other tools may have none, and then all of their detections count.
    Intervals are 95 %, by bootstrap over cases.
    """
    from rich.console import Console

    from metaphase.evaluation.scoresfile import save_scores
    from metaphase.evaluation.settings import EvaluationSettings
    from metaphase.evaluation.tables import print_scores
    from metaphase.exchange.foreigndetections import ForeignDetections

    _check_part(choose, part)
    _check_domain(by)
    part = part or ("validation" if choose else "test")
    dataset = _cases(labels, images, case_table, split, part, labelled_only, check_pixels)
    check_truth(truth, detections, *(compare or ()))
    foreign = ForeignDetections(
        labels, detections_format, mpp, truth, absent_is_empty, merge_radius_um
    )
    settings = EvaluationSettings(
        radius_um=radius_um,
        rule=rule,
        threshold=threshold,
        protocol=protocol,
        allow_missing=allow_missing,
        resamples=resamples,
        method=intervals,
        strata=by or "scanner",
        seed=seed,
    )
    console = Console()
    if choose:
        settings = _choose(
            settings, foreign.load(detections, dataset), dataset, save_threshold_in, console
        )
    scores = _score(settings, foreign, detections, dataset, _cases_note(split, part, choose))
    print_scores(scores, console, by=by, per_case=per_case)
    differences = [
        _compare(settings, foreign, other, scores, detections.name, dataset, console)
        for other in compare or []
    ]
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
    from rich.console import Console

    from metaphase.evaluation.cases import load_cases

    with Console(stderr=True).status("reading labels") as status:
        return load_cases(
            labels,
            images=images,
            cases=cases,
            split=split,
            part=part,
            labelled_only=labelled_only,
            check_pixels=check_pixels,
            progress=lambda case: status.update(f"comparing images: {case}"),
        )


def _cases_note(split: Path | None, part: str, chosen: bool) -> tuple[str, ...]:
    """Return what a report has to say of the cases: their part, and whether they chose."""
    notes: tuple[str, ...] = ()
    if split is not None:
        notes += (f"Scored on the {part} cases of {split.name}.",)
    if chosen:
        notes += ("The threshold was chosen on these cases: a test would give lower scores.",)
    return notes


def _score(
    settings: EvaluationSettings,
    foreign: ForeignDetections,
    path: Path,
    dataset: Dataset,
    notes: tuple[str, ...] = (),
) -> Scores:
    from metaphase.exchange.foreigndetections import notes_on

    detections = foreign.load(path, dataset)
    notes = (*notes, *notes_on(detections, settings.threshold))
    return settings.score(detections, dataset, notes)


def _choose(
    settings: EvaluationSettings,
    detections: Path | Mapping[str, Detections],
    dataset: Dataset,
    store: Path | None,
    console: Console,
) -> EvaluationSettings:
    """Choose the threshold, freeze it if asked to, and return settings that use it."""
    value, f1 = settings.choose_threshold(detections, dataset)
    console.print(
        f"Threshold {value:g} was chosen on these {len(dataset)} cases (F1 {f1:.3f}). "
        "The scores below are therefore too high.",
        highlight=False,
    )
    if store is not None:
        model = settings.freeze(store, value, f1, dataset)
        text = f"Stored in {model.folder}; its id is now {model.id[:12]}."
        console.print(text, highlight=False, markup=False)
    return replace(settings, threshold=value)


def _compare(
    settings: EvaluationSettings,
    foreign: ForeignDetections,
    path: Path,
    scores: Scores,
    name: str,
    dataset: Dataset,
    console: Console,
) -> dict[str, Any]:
    """Print the differences to other detections or another evaluation; return them for JSON."""
    from metaphase.evaluation.scoresfile import is_scores, load_scores
    from metaphase.evaluation.tables import comparison

    other = load_scores(path) if is_scores(path) else _score(settings, foreign, path, dataset)
    differences = settings.compare(other, scores)
    console.print(comparison(differences, path.stem, name))
    return {"first": str(path), **{key: value.to_dict() for key, value in differences.items()}}
