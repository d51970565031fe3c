"""``metaphase report``: one HTML file of evaluations and training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)

EVALUATION_NAME = "evaluation.json"  # in the folder of a run, if it has one


@app.command()
def report(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="EVAL.json|RUN...",
            help="Evaluations ('metaphase evaluate --json') and folders of training runs.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file to write.")] = Path(
        "report.html"
    ),
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of the images, where they are not where they were."),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="Name of an evaluation's model, in their order (repeatable)."),
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the report.")] = "",
    crops: Annotated[int, typer.Option(min=0, help="Pictures in each gallery; 0: none.")] = 24,
) -> None:
    """Write one HTML file that opens anywhere, offline: scores, curves, pictures and methods.

    The folder of a run gives its curves, and its evaluation.json if it has one.
    Several evaluations are put side by side; those on the same cases are compared pairwise.
    """
    from rich.console import Console

    from metaphase.evaluation.scoresfile import load_scores
    from metaphase.report.page import write_report
    from metaphase.report.training import training_curves

    files = [path / EVALUATION_NAME if path.is_dir() else path for path in inputs]
    models = [
        load_scores(file)
        for file, given in zip(files, inputs, strict=True)
        if not given.is_dir() or file.is_file()
    ]
    runs = [training_curves(path) for path in inputs if path.is_dir()]
    if name and len(name) != len(models):
        raise typer.BadParameter(f"{len(name)} names for {len(models)} evaluations")
    console = Console(stderr=True)
    with console.status("writing the report"):
        problems = write_report(
            models, out, names=name, images=images, runs=runs, title=title, crops=crops
        )
    for problem in problems:
        console.print(problem, style="yellow", highlight=False)
    typer.echo(out)
