"""``metaphase sample``: write the bundled sample images and their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metaphase.cli.commandclass import Command
from metaphase.cli.options import option

app = typer.Typer(add_completion=False)


@app.command(cls=Command)
def sample(out: Annotated[Path, option("--out")] = Path("sample")) -> None:
    """Write three real fields with labels (BreCaHAD, CC BY 4.0), to try the other commands."""
    from metaphase.labels.sample import write_sample
    from metaphase.locks import locked_folder

    with locked_folder(out):
        labels = write_sample(out)
    typer.echo(f"{labels.parent}: 3 fields with labels (BreCaHAD, CC BY 4.0, see LICENCE.txt)")
    typer.echo(f"next: metaphase detect --labels {labels.parent} --out found")
