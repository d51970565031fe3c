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
    """Train a detector. An interrupted run resumes when the command is repeated."""
    from metaphase.training.recipe.recipe import load_recipe
    from metaphase.training.runfolder import RunFolder
    from metaphase.training.train import train

    loaded = load_recipe(recipe, set_ or ())
    run = train(loaded, out=out or Path("runs") / loaded.name, show=not quiet)
    typer.echo(RunFolder(run).model)
