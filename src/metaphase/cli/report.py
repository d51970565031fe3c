"""``metaphase report``: one HTML file of evaluations and training runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metaphase.cli.commandclass import Command
from metaphase.cli.options import argument, option, out_file

if TYPE_CHECKING:
    from metaphase.evaluation.scores import Scores

app = typer.Typer(add_completion=False)

EVALUATION_NAME = "evaluation.json"  # in the folder of a run, if it has one


@app.command(cls=Command)
def report(
    results: Annotated[list[Path], argument("results")],
    out: Annotated[Path, out_file()] = Path("report.html"),
    images: Annotated[Path | None, option("--images")] = None,
    name: Annotated[list[str] | None, option("--name")] = None,
    title: Annotated[str, option("--title", default=False)] = "",
    crops: Annotated[int, option("--crops")] = 24,
) -> None:
    """Write scores, curves, images and methods as one HTML file that needs no network.

    A training run contributes its curves, and its evaluation.json if there is one. Several
    evaluations are shown side by side; those on the same cases are compared pairwise.
    """
    from rich.console import Console

    from metaphase.evaluation.scoresfile import load_scores
    from metaphase.report.page import write_report
    from metaphase.report.training import training_curves

    files = [path / EVALUATION_NAME if path.is_dir() else path for path in results]
    models = [
        _of_validation(load_scores(file), given) if given.is_dir() else load_scores(file)
        for file, given in zip(files, results, strict=True)
        if not given.is_dir() or file.is_file()
    ]
    runs = [training_curves(path) for path in results if path.is_dir()]
    if name and len(name) != len(models):
        raise typer.BadParameter(f"{len(name)} names for {len(models)} evaluations")
    console = Console(stderr=True)
    with console.status("writing the report"):
        problems = write_report(
            models, out, names=name, images=images, runs=runs, title=title, crops=crops
        )
    for problem in problems:
        console.print(problem, style="yellow", highlight=False, markup=False)
    typer.echo(out)


def _of_validation(scores: Scores, run: Path) -> Scores:
    """Return the scores in the folder of a training run with a note on what they are."""
    text = (
        f"Validation scores of the training run {run.name}: the threshold was chosen on these cases"
        ", so that a test would give lower scores."
    )
    return replace(scores, notes=(*scores.notes, text))
