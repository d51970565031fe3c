"""``metaphase card``: print the model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import option, out_file

app = typer.Typer(add_completion=False)


@app.command(cls=command_class(positionals=("model",)))
def card(
    model: Annotated[str | None, option("--model", default="compact")] = None,
    out: Annotated[Path | None, out_file(default="print it")] = None,
) -> None:
    """Print the card of a model in Markdown: training data, terms, recipe, scores and limits."""
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
