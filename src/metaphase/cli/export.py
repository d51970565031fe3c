"""``metaphase export``: a model file for other runtimes and precisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from metaphase.models.modelfile import Model

app = typer.Typer(add_completion=False)


@app.command(
    cls=command_class(
        positionals=("model",),
        renamed={"--precision": "--weights"},
        needs={"--tiles": "--calibrate", "--mpp": "--calibrate", "--scanner": "--calibrate"},
    )
)
def export(
    model: Annotated[str | None, option("--model", default="compact")] = None,
    out: Annotated[Path | None, option("--out", default="MODEL-WEIGHTS beside the model")] = None,
    weights: Annotated[str, option("--weights")] = "fp32",
    calibrate: Annotated[list[Path] | None, option("--calibrate")] = None,
    tiles: Annotated[int, option("--tiles")] = 64,
    mpp: Annotated[float | None, option("--mpp")] = None,
    scanner: Annotated[str | None, option("--scanner")] = None,
) -> None:
    """Write a model with weights in another number format.

    The result is a model file for 'metaphase detect --model'. It has the threshold of the original
    model: check its scores with 'metaphase evaluate'.
    """
    from metaphase.errors import ModelFileError
    from metaphase.models.modelfile import default_model, load_model
    from metaphase.models.precision import PRECISIONS, export_model

    if weights not in PRECISIONS:
        raise typer.BadParameter(f"{weights!r} is not {', '.join(PRECISIONS)}")
    if calibrate and weights != "int8":
        raise typer.BadParameter("--calibrate has no effect without --weights int8")
    opened = load_model(model or default_model())
    folder = out or opened.folder.with_name(f"{opened.folder.name}-{weights}")
    if folder.resolve() == opened.folder.resolve():
        raise ModelFileError.of(folder, "is the model itself", way_out="name another --out")
    seen = None
    if weights == "int8":
        seen = _tiles(opened, calibrate or [], tiles, mpp, scanner)
    written = export_model(opened, folder, weights, tiles=seen)
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
