"""``metaphase sheet``: contact sheets of what is false, missed and found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from metaphase.evaluation.scores import Scores

app = typer.Typer(add_completion=False)


@app.command()
def sheet(
    detections: Annotated[
        Path,
        typer.Argument(
            help="Folder that 'metaphase detect' or 'metaphase cross-validate' wrote.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            "-l",
            help="Labels of the cases.",
            show_default="those of a cross-validation's recipe",
        ),
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pages.")] = Path("sheets"),
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Operating point.",
            show_default="the model's, or each fold's own",
        ),
    ] = None,
    most_true: Annotated[
        int, typer.Option("--true", min=0, help="True positives on each of their two sheets.")
    ] = 48,
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="Leave cases without detections out."),
    ] = False,
) -> None:
    """Draw every false positive and false negative, and how true positives look.

    Of a cross-validation, all left-out cases are drawn, each at its fold's own threshold.
    """
    from metaphase.report.sheet import write_sheets

    scores = _scores(detections, labels, images, threshold, allow_missing)
    files, problems = write_sheets(scores, out, images=images, most_true=most_true)
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
