"""``metaphase exchange``: detections to and from other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True)

Target = Literal[
    "metaphase", "csv", "coco", "sliderunner", "qupath", "grandchallenge-2021",
    "grandchallenge-2025", "dicom",
]  # fmt: skip


@app.callback()
def exchange() -> None:
    """Convert detections to and from other tools."""


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="File or folder of detections, of any kind.")],
    target: Annotated[
        Path,
        typer.Argument(help="File (csv, coco, sliderunner; others for one slide), or a folder."),
    ],
    to: Annotated[Target, typer.Option(help="Format to write.")],
    kind: Annotated[
        str | None, typer.Option(help="Format of the source; recognised by default.")
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="um/px, for sources that do not state it.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labels with the images' um/px and sizes.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="COCO file with the image ids of a plain list of results.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Operating point, instead of the source's own.")
    ] = None,
    all_scores: Annotated[
        bool | None,
        typer.Option(
            "--all/--above-threshold",
            help="What to write (default: all; above threshold for QuPath, SlideRunner, DICOM).",
        ),
    ] = None,
    box_um: Annotated[
        float | None, typer.Option(help="Side of boxes for QuPath (default: points) and COCO.")
    ] = None,
    slides: Annotated[
        Path | None,
        typer.Option(help="Folder of the slides: for bounds in QuPath and DICOM references."),
    ] = None,
) -> None:
    """Convert detections from any of the formats into another."""
    from metaphase.exchange.convert import convert as write
    from metaphase.exchange.read import read_detections
    from metaphase.labels.read import load_dataset

    dataset = load_dataset(labels) if labels else None
    detections = read_detections(source, mpp=mpp, kind=kind, truth=truth, dataset=dataset)
    written = write(
        detections,
        target,
        to=to,
        threshold=threshold,
        above_threshold=None if all_scores is None else not all_scores,
        box_um=box_um,
        slides=slides,
    )
    number = "1 slide" if len(detections) == 1 else f"{len(detections)} slides"
    typer.echo(f"Wrote the detections of {number} to {_named(written)}")


def _named(paths: list[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{len(paths)} files in {paths[0].parent}"
