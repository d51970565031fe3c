"""``metaphase exchange``: detections to and from other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, check_truth, option

app = typer.Typer(add_completion=False, no_args_is_help=True)

Target = Literal[
    "metaphase", "csv", "coco", "sliderunner", "qupath", "grandchallenge-2021",
    "grandchallenge-2025", "dicom",
]  # fmt: skip

_WITH_BOXES, _WITH_IMAGES = ("qupath", "coco"), ("qupath", "dicom")


@app.callback()
def exchange() -> None:
    """Convert detections to and from other tools."""


@app.command(
    cls=command_class(
        positionals=("out",),
        renamed={
            "--kind": "--detections-format",
            "--slides": "--images",
            "--all": "--all-scores",
        },
    )
)
def convert(
    detections: Annotated[Path, argument("detections")],
    out: Annotated[Path, option("--out")],
    to: Annotated[Target, option("--to")],
    detections_format: Annotated[str | None, option("--detections-format")] = None,
    mpp: Annotated[float | None, option("--mpp")] = None,
    labels: Annotated[Path | None, option("--labels")] = None,
    truth: Annotated[Path | None, option("--truth")] = None,
    threshold: Annotated[float | None, option("--threshold")] = None,
    all_scores: Annotated[bool | None, option("--all-scores")] = None,
    box_um: Annotated[float | None, option("--box-um")] = None,
    images: Annotated[Path | None, option("--images")] = None,
) -> None:
    """Convert detections from any of the formats into another."""
    from metaphase.exchange.convert import convert as write
    from metaphase.exchange.read import kind_of, read_detections
    from metaphase.labels.read import load_dataset

    if box_um is not None and to not in _WITH_BOXES:
        raise typer.BadParameter(f"--box-um has no effect on {to}")
    of_dicom = images is not None and detections.is_file() and kind_of(detections) == "dicom"
    if images is not None and to not in _WITH_IMAGES and not of_dicom:
        raise typer.BadParameter(f"--images has no effect on {to}")
    check_truth(truth, detections)
    dataset = load_dataset(labels) if labels else None
    by_name = read_detections(
        detections,
        mpp=mpp,
        kind=detections_format,
        truth=truth,
        dataset=dataset,
        images=images,
    )
    written = write(
        by_name,
        out,
        to=to,
        threshold=threshold,
        above_threshold=None if all_scores is None else not all_scores,
        box_um=box_um,
        slides=images,
    )
    number = "1 slide" if len(by_name) == 1 else f"{len(by_name)} slides"
    typer.echo(f"Wrote the detections of {number} to {_named(written)}")


def _named(paths: list[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{len(paths)} files in {paths[0].parent}"
