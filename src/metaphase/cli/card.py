"""``metaphase card``: what a model file tells about itself, to read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def card(
    model: Annotated[
        str | None,
        typer.Argument(help="Model file (a folder), or a model's name.", show_default="compact"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write a file instead of printing.")
    ] = None,
) -> None:
    """Show a model's card: data and terms, recipe, scores, known failures. In Markdown."""
    from metaphase.files import write_text
    from metaphase.models.cardpage import card_markdown
    from metaphase.models.modelfile import default_model, load_model

    opened = load_model(model or default_model())
    text = card_markdown(opened.card, opened.id)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        typer.echo(out)
