"""``metaphase sheet``: contact sheets of what is false, missed and found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, option

if TYPE_CHECKING:
    from metaphase.evaluation.scores import Scores

app = typer.Typer(add_completion=False)


@app.command(
    cls=command_class(renamed={"--true": "--true-positives"}, needs={"--allow-missing": "--labels"})
)
def sheet(
    detections: Annotated[Path, argument("detections")],
    labels: Annotated[
        Path | None, option("--labels", default="those of a cross-validation's recipe")
    ] = None,
    images: Annotated[Path | None, option("--images")] = None,
    out: Annotated[Path, option("--out")] = Path("sheets"),
    threshold: Annotated[float | None, option("--threshold")] = None,
    true_positives: Annotated[int, option("--true-positives")] = 48,
    allow_missing: Annotated[bool, option("--allow-missing")] = False,
) -> None:
    """Draw all false positives and false negatives, and some true positives.

    For a cross-validation, all left-out cases are drawn, each at the threshold of its fold.
    """
    from metaphase.locks import locked_folder
    from metaphase.report.sheet import write_sheets

    scores = _scores(detections, labels, images, threshold, allow_missing)
    with locked_folder(out):
        files, problems = write_sheets(scores, out, images=images, most_true=true_positives)
    for problem in problems:
        typer.echo(problem, err=True)
    counts = scores.overall.counts
    typer.echo(
        f"{counts.tp} found, {counts.fp} false, {counts.fn} missed in {scores.overall.cases} cases"
    )
    for file in files:
        typer.echo(file)


def _scores(
    detections: Path,
    labels: Path | None,
    images: Path | None,
    threshold: float | None,
    allow_missing: bool,
) -> Scores:
    from metaphase.evaluation.evaluate import evaluate
    from metaphase.labels.read import load_dataset

    if labels is not None:
        dataset = load_dataset(labels, images=images).labelled()
        return evaluate(detections, dataset, threshold=threshold, allow_missing=allow_missing)
    from metaphase.training.folds.results import is_cross_validation, load_folds

    if not is_cross_validation(detections):
        raise typer.BadParameter("name the labels with --labels", param_hint="--labels")
    folds = load_folds(detections)
    return evaluate(
        folds.detections(), folds.regions, radius_um=folds.radius_um, threshold=threshold
    )
