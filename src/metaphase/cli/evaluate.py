"""``metaphase evaluate``: score detections against labels, choose and freeze thresholds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metaphase.cli.othertools import OtherTools, notes_on
from metaphase.evaluation.bootstrap import Method
from metaphase.evaluation.matching import Rule
from metaphase.evaluation.protocols import Protocol

if TYPE_CHECKING:
    from metaphase.cli.othertools import Found
    from metaphase.evaluation.scores import Scores
    from metaphase.labels.dataset import Dataset

app = typer.Typer(add_completion=False)

_CASES, _MATCH, _THRESHOLD, _RESULT = "Which cases", "How it is scored", "Threshold", "Results"
_FOREIGN = "Detections of other tools"


@app.command()
def evaluate(
    detections: Annotated[
        Path,
        typer.Argument(
            help="Folder that 'metaphase detect' wrote; or others' detections: a CSV, COCO "
            "results, QuPath GeoJSON, Grand Challenge JSON, a SlideRunner database, or a folder "
            "of such files.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        Path, typer.Option("--labels", "-l", help="Labels of the cases.", show_default=False)
    ],
    images: Annotated[
        Path | None, typer.Option(help="Folder of the images.", rich_help_panel=_CASES)
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(help="CSV of cases, for a table or MIDOG++.", rich_help_panel=_CASES),
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="Split file: score one part.", rich_help_panel=_CASES)
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            help="Part of the split.",
            show_default="test; validation with --choose-threshold",
            rich_help_panel=_CASES,
        ),
    ] = None,
    labelled_only: Annotated[
        bool,
        typer.Option("--labelled-only", help="Leave unlabelled cases out.", rich_help_panel=_CASES),
    ] = False,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            help="Leave cases without detections out.",
            rich_help_panel=_CASES,
        ),
    ] = False,
    check_pixels: Annotated[
        bool,
        typer.Option(
            "--check-pixels",
            help="Refuse a split that has an image on two sides (reads all images).",
            rich_help_panel=_CASES,
        ),
    ] = False,
    kind: Annotated[
        str | None,
        typer.Option(
            help="Format of the detections.",
            show_default="recognised by its content",
            rich_help_panel=_FOREIGN,
        ),
    ] = None,
    mpp: Annotated[
        float | None,
        typer.Option(
            min=0.0001,
            help="um/px where neither file nor labels nor images tell it.",
            rich_help_panel=_FOREIGN,
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            help="COCO file whose image ids bare COCO results use.",
            show_default="--labels",
            rich_help_panel=_FOREIGN,
        ),
    ] = None,
    absent_is_empty: Annotated[
        bool,
        typer.Option(
            "--absent-is-empty",
            help="A case that the file does not name has no detections (say it only if you know).",
            rich_help_panel=_FOREIGN,
        ),
    ] = False,
    radius_um: Annotated[
        float, typer.Option(min=0.01, help="Matching radius, um.", rich_help_panel=_MATCH)
    ] = 7.5,
    rule: Annotated[
        Rule, typer.Option(help="Who is matched with whom.", rich_help_panel=_MATCH)
    ] = "midog",
    protocol: Annotated[
        Protocol,
        typer.Option(
            help="exercise: also show what truth-guided patches would have told.",
            rich_help_panel=_MATCH,
        ),
    ] = "whole",
    seed: Annotated[
        int, typer.Option(help="Of the bootstrap and the patches.", rich_help_panel=_MATCH)
    ] = 0,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Operating point.",
            show_default="the model's frozen one, else all count",
            rich_help_panel=_THRESHOLD,
        ),
    ] = None,
    choose: Annotated[
        bool,
        typer.Option(
            "--choose-threshold",
            help="Take the threshold that is best on these (validation) cases.",
            rich_help_panel=_THRESHOLD,
        ),
    ] = False,
    store: Annotated[
        Path | None,
        typer.Option(
            help="Model file in which to freeze the chosen threshold.",
            rich_help_panel=_THRESHOLD,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Show one kind of domain: scanner, tumour, species, laboratory, group.",
            show_default="all known",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    per_case: Annotated[
        bool, typer.Option("--per-case", help="Show every case.", rich_help_panel=_RESULT)
    ] = False,
    resamples: Annotated[
        int,
        typer.Option(min=0, help="Bootstrap resamples; 0: no intervals.", rich_help_panel=_RESULT),
    ] = 2000,
    intervals: Annotated[
        Method, typer.Option(help="Kind of interval.", rich_help_panel=_RESULT)
    ] = "bca",
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            help="Other detections of any kind, or an evaluation's JSON, to compare with "
            "(repeatable).",
            rich_help_panel=_RESULT,
        ),
    ] = None,
    json_path: Annotated[
        Path | None,
        typer.Option(
            "--json", help="Write all of it, for 'metaphase report'.", rich_help_panel=_RESULT
        ),
    ] = None,
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

    _check_options(threshold, choose, store, split, part, check_pixels)
    _check_domain(by)
    part = part or ("validation" if choose else "test")
    dataset = _cases(labels, images, cases, split, part, labelled_only, check_pixels)
    matching: dict[str, Any] = {
        "radius_um": radius_um,
        "rule": rule,
        "allow_missing": allow_missing,
    }
    tools = OtherTools(labels, kind=kind, mpp=mpp, truth=truth, empty=absent_is_empty)
    found = tools.found(detections, dataset)
    console = Console()
    if choose:
        threshold = _choose(found, dataset, matching, store, console)

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
    if json_path is not None:
        save_scores(scores, json_path, comparisons=differences)
        typer.echo(json_path)


def _check_options(
    threshold: float | None,
    choose: bool,
    store: Path | None,
    split: Path | None,
    part: str | None,
    check_pixels: bool,
) -> None:
    if choose and threshold is not None:
        raise typer.BadParameter("--choose-threshold and --threshold exclude each other")
    if store is not None and not choose:
        raise typer.BadParameter("--store keeps what --choose-threshold chose")
    if part is not None and split is None:
        raise typer.BadParameter("--part is a part of --split")
    if choose and part == "test":
        raise typer.BadParameter(
            "a threshold chosen on the test part says nothing about it: choose on validation"
        )
    if check_pixels and split is None:
        raise typer.BadParameter("--check-pixels looks at the parts of --split")


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
