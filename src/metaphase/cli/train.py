"""``metaphase train RECIPE.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a TOML file.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="runs/NAME")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a field, e.g. trainer.epochs=5."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress.")] = False,
) -> None:
    """Train a detector. An interrupted run goes on when the same command is given again."""
    from metaphase.training.recipe.recipe import load_recipe
    from metaphase.training.train import MODEL_NAME, train

    loaded = load_recipe(recipe, set_ or ())
    run = train(loaded, out=out or Path("runs") / loaded.name, show=not quiet)
    typer.echo(run / MODEL_NAME)
