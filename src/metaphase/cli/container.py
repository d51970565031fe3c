"""``metaphase container``: a Grand Challenge algorithm from a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import option

app = typer.Typer(add_completion=False)


@app.command(cls=command_class(positionals=("out",)))
def container(
    out: Annotated[Path, option("--out")],
    model: Annotated[str | None, option("--model", default="compact")] = None,
    wheel: Annotated[Path | None, option("--wheel")] = None,
    mpp: Annotated[float | None, option("--mpp")] = None,
) -> None:
    """Write a folder from which docker builds a Grand Challenge algorithm.

    It has the input and output of the MIDOG challenges of 2021 and 2025, and runs without network
    and without root privileges.
    """
    from metaphase.exchange.container import write_container
    from metaphase.models.modelfile import default_model

    folder = write_container(out, model or default_model(), wheel=wheel, mpp=mpp)
    typer.echo(f"{folder}: see README.md there for how to build, try and save it")
