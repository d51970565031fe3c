"""``metaphase container``: a Grand Challenge algorithm from a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def container(
    out: Annotated[Path, typer.Argument(help="New folder for Dockerfile, model and README.")],
    model: Annotated[str, typer.Option(help="Model file, or the name of a shipped one.")],
    wheel: Annotated[
        Path | None, typer.Option(help="Wheel of metaphase to install, instead of the index's.")
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="um/px of images whose tags do not tell it.")
    ] = None,
) -> None:
    """Write a folder from which docker builds a Grand Challenge algorithm.

    It reads and writes as the MIDOG challenges of 2021 and 2025, without network and as a user
    without rights.
    """
    from metaphase.exchange.container import write_container

    folder = write_container(out, model, wheel=wheel, mpp=mpp)
    typer.echo(f"{folder}: see README.md there for how to build, try and save it")
