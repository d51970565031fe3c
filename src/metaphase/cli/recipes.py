"""``metaphase recipes``: the bundled recipes, listed and copied."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metaphase.cli.commandclass import Command
from metaphase.cli.options import argument, out_file

app = typer.Typer(add_completion=False)


@app.command(cls=Command)
def recipes(
    name: Annotated[str | None, argument("name")] = None,
    out: Annotated[Path | None, out_file(default="print it")] = None,
) -> None:
    """List the bundled recipes, or print one, to copy and change it.

    'metaphase train NAME' trains with a bundled recipe.
    """
    from metaphase.errors import InputError
    from metaphase.files import write_text
    from metaphase.training.recipe.bundled import bundled_recipes, recipe_path, summary_of

    if name is None:
        if out is not None:
            raise InputError.of("--out", "needs the name of a recipe")
        for known, path in bundled_recipes().items():
            typer.echo(f"{known:12} {summary_of(path)}")
        return
    text = recipe_path(name).read_text(encoding="utf-8")
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        typer.echo(out)
