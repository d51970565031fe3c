"""``metaphase exchange``: detections to and from other tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from metaphase.figures import Detections

app = typer.Typer(add_completion=False, no_args_is_help=True)

Target = Literal[
    "metaphase", "csv", "coco", "sliderunner", "qupath", "grandchallenge-2021",
    "grandchallenge-2025", "dicom",
]  # fmt: skip
_TOGETHER = ("csv", "coco", "sliderunner")
_FOR_EYES = ("qupath", "sliderunner", "dicom")  # people see what counts, machines take all
_ENDINGS = {
    "qupath": ".geojson",
    "grandchallenge-2021": ".json",
    "grandchallenge-2025": ".json",
    "dicom": ".dcm",
}


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
        float | None, typer.Option(help="um/px, for sources that do not tell it.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Labels that know the images' um/px and sizes.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="COCO file that knows the image ids of bare results.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Operating point, instead of the source's own.")
    ] = None,
    all_scores: Annotated[
        bool | None,
        typer.Option(
            "--all/--above-threshold",
            help="What to write (unasked: all, but for QuPath, SlideRunner and DICOM what counts).",
        ),
    ] = None,
    box_um: Annotated[
        float | None, typer.Option(help="Side of boxes for QuPath (unasked: points) and COCO.")
    ] = None,
    slides: Annotated[
        Path | None,
        typer.Option(help="Folder of the slides: for bounds in QuPath and DICOM references."),
    ] = None,
) -> None:
    """Convert detections from any of the formats into another."""
    from metaphase.exchange.read import read_detections
    from metaphase.labels.read import load_dataset

    known = load_dataset(labels) if labels else None
    found = read_detections(source, mpp=mpp, kind=kind, truth=truth, dataset=known)
    if threshold is not None:
        found = {name: some.made_by(threshold=threshold) for name, some in found.items()}
    if not (to not in _FOR_EYES if all_scores is None else all_scores):
        found = {name: some.above_threshold() for name, some in found.items()}
    if to in _TOGETHER:
        _write_together(found, target, to, box_um)
        written = [target]
    else:
        written = _write_each(found, target, to, box_um, slides)
    number = sum(map(len, found.values()))
    slides_told = "1 slide" if len(found) == 1 else f"{len(found)} slides"
    typer.echo(f"Detections of {slides_told} in {_told(written)}: {number}")


def _told(paths: list[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{len(paths)} files in {paths[0].parent}"


def _write_together(
    found: Mapping[str, Detections], target: Path, to: str, box_um: float | None
) -> None:
    from metaphase.exchange import coco, csv, sliderunner

    if to == "coco":
        coco.write(found, target, box_um=box_um or coco.BOX_UM)
    elif to == "csv":
        csv.write(found, target)
    else:
        sliderunner.write(found, target)


def _write_each(
    found: Mapping[str, Detections],
    target: Path,
    to: str,
    box_um: float | None,
    slides: Path | None,
) -> list[Path]:
    ending = _ENDINGS.get(to, "")
    single = ending and target.suffix.lower() == ending
    if single and len(found) != 1:
        from metaphase.errors import DetectionsError

        raise DetectionsError.of(
            target, f"cannot hold {len(found)} slides", way_out="name a folder to write to"
        )
    written = []
    for name, detections in found.items():
        path = target if single else target / f"{name}{ending}"
        _write_one(detections, path, to, box_um, slides)
        written.append(path)
    return written


def _write_one(
    detections: Detections, path: Path, to: str, box_um: float | None, slides: Path | None
) -> None:
    from metaphase.detectionfile import save_detections
    from metaphase.exchange import dicom, grandchallenge, qupath

    slide = None if slides is None else slides / detections.provenance.image
    if to == "metaphase":
        save_detections(detections, path)
    elif to == "qupath":
        qupath.write(detections, path, box_um=box_um, offset_px=_offset(slide, detections))
    elif to == "dicom":
        dicom.write(detections, path, source=slide)
    else:
        grandchallenge.write(detections, path, "2021" if to.endswith("2021") else "2025")


def _offset(slide: Path | None, detections: Detections) -> tuple[float, float]:
    """Return the corner that QuPath counts from: as the slide tells, or else the detections."""
    if slide is None:
        from metaphase.counting.analysedregion import bounds_px

        return bounds_px(detections.provenance)
    from metaphase.exchange.qupath import bounds_offset
    from metaphase.slides.open import open_slide

    with open_slide(slide, mpp=detections.provenance.mpp or None) as opened:
        return bounds_offset(opened.properties)
