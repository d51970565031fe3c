"""``metaphase export``: a model file for other runtimes and precisions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import option

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
    from metaphase.detection.calibrationtiles import calibration_tiles
    from metaphase.detection.inputs import jobs_for_paths
    from metaphase.errors import ModelFileError
    from metaphase.files import real_path
    from metaphase.locks import locked_folder, output_folder
    from metaphase.models.modelfile import default_model, load_model
    from metaphase.models.precision import PRECISIONS, check_convertible, export_model

    if weights not in PRECISIONS:
        raise typer.BadParameter(f"{weights!r} is not {', '.join(PRECISIONS)}")
    if calibrate and weights != "int8":
        raise typer.BadParameter("--calibrate has no effect without --weights int8")
    opened = load_model(model or default_model())
    check_convertible(opened)
    folder = out or opened.folder.with_name(f"{opened.folder.name}-{weights}")
    if real_path(folder) == real_path(opened.folder):
        raise ModelFileError.of(
            folder, "is the folder of the model itself", way_out="name another --out"
        )
    output_folder(folder)  # report a folder that cannot be written before anything else
    calibration = None
    if weights == "int8":
        jobs = jobs_for_paths(calibrate or [], mpp=mpp, scanner=scanner)
        calibration = calibration_tiles(opened, jobs, tiles)
    with locked_folder(folder):
        written = export_model(opened, folder, weights, tiles=calibration)
    size = sum(p.stat().st_size for p in (written.onnx_path, written.weights_path) if p)
    typer.echo(f"{folder}: {written.card.name} ({written.id[:12]}), {size / 1e6:.1f} MB")
