"""``metaphase train RECIPE.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metaphase.cli.commandclass import Command
from metaphase.cli.options import argument, option

app = typer.Typer(add_completion=False)


@app.command(cls=Command)
def train(
    recipe: Annotated[Path, argument("recipe")],
    out: Annotated[Path | None, option("--out", default="runs/NAME")] = None,
    set_: Annotated[list[str] | None, option("--set")] = None,
    quiet: Annotated[bool, option("--quiet")] = False,
) -> None:
    """Train a detector. An interrupted run resumes when the command is repeated.

    Prints the folder of the model file; scores and the next command go to stderr.
    """
    from metaphase.training.recipe.recipe import load_recipe
    from metaphase.training.runfolder import RunFolder
    from metaphase.training.train import train

    loaded = load_recipe(recipe, set_ or ())
    run = train(loaded, out=out or Path("runs") / loaded.name, show=not quiet)
    if not quiet:
        _report(RunFolder(run).model)
    typer.echo(RunFolder(run).model)


def _report(folder: Path) -> None:
    """Print the validation scores of a finished model, and what to do next."""
    from metaphase.models.modelfile import load_model

    if not (folder / "card.json").is_file():  # a process that helped with the training
        return
    card = load_model(folder, verify=False).card
    validation = card.scores.validation
    if validation is not None and validation.overall.f1 is not None:
        scores = validation.overall
        rates = [
            f"{name} {value:.3f}"
            for name, value in (("precision", scores.precision), ("recall", scores.recall))
            if value is not None
        ]
        typer.echo(
            f"validation: F1 {scores.f1:.3f}, {', '.join(rates)} at the threshold "
            f"{card.threshold.value:.3f}, which was chosen on these cases",
            err=True,
        )
    typer.echo(f"next: metaphase detect IMAGES --model {folder} --out found", err=True)
