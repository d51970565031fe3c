"""``metaphase export``: a model file for other runtimes and precisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from metaphase.models.modelfile import Model

app = typer.Typer(add_completion=False)


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="Model file (a folder), or a model's name.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder to write (unasked: MODEL-PRECISION beside it)."),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="fp32, fp16 (GPUs), int8 (CPUs), packed (small).")
    ] = "fp32",
    calibrate: Annotated[
        list[Path] | None,
        typer.Option(help="int8: images, folders or lists like those it will see."),
    ] = None,
    tiles: Annotated[int, typer.Option(min=8, help="int8: tiles to calibrate on.")] = 64,
    mpp: Annotated[
        float | None, typer.Option(help="Resolution of those images, if files do not tell.")
    ] = None,
    scanner: Annotated[str | None, typer.Option(help="Scanner of those images.")] = None,
) -> None:
    """Write a model for other runtimes and precisions.

    The result is a model file of its own, for 'metaphase detect --model'. Its threshold is that of
    the model it was made from: score it with 'metaphase evaluate' before trusting it.
    """
    from metaphase.errors import ModelFileError
    from metaphase.models.modelfile import load_model
    from metaphase.models.precision import PRECISIONS, export_model

    if precision not in PRECISIONS:
        raise typer.BadParameter(f"{precision!r} is not {', '.join(PRECISIONS)}")
    opened = load_model(model)
    folder = out or opened.folder.with_name(f"{opened.folder.name}-{precision}")
    if folder.resolve() == opened.folder.resolve():
        raise ModelFileError.of(folder, "is the model itself", way_out="name another --out")
    seen = None
    if precision == "int8":
        seen = _tiles(opened, calibrate or [], tiles, mpp, scanner)
    written = export_model(opened, folder, precision, tiles=seen)
    size = sum(p.stat().st_size for p in (written.onnx_path, written.weights_path) if p)
    typer.echo(f"{folder}: {written.card.name} ({written.id[:12]}), {size / 1e6:.1f} MB")


def _tiles(
    model: Model, paths: list[Path], count: int, mpp: float | None, scanner: str | None
) -> list[NDArray[np.uint8]]:
    """Return tiles spread evenly over the tissue of the images."""
    from metaphase.detection.inputs import jobs_for_paths
    from metaphase.detection.plan import Settings, make_plan

    jobs = jobs_for_paths(paths, mpp=mpp, scanner=scanner)
    each = -(-count // max(1, len(jobs)))
    found = []
    for job in jobs:
        with job.open() as slide:
            plan = make_plan(slide, model, Settings())
            chosen = plan.tiles[:: max(1, len(plan.tiles) // each)][:each]
            for number in chosen.tolist():
                x, y = plan.grid.corner(number)
                scale, side = plan.grid.scale, plan.grid.tile
                found.append(slide.read(x * scale, y * scale, side, side, plan.mpp))
    return found[:count]
