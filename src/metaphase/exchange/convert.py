"""Detections written in the format of another tool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

from metaphase.detectionfile import save_detections
from metaphase.errors import DetectionsError, Problem, SlideError
from metaphase.exchange import coco, csv, dicom, grandchallenge, qupath, sliderunner
from metaphase.exchange.read import read_detections
from metaphase.figures import Detections
from metaphase.labels.casenames import image_path
from metaphase.qupath.bounds import Offset, bounds_offset, recorded_offset
from metaphase.values import printable_name

Format = Literal[
    "metaphase",
    "csv",
    "coco",
    "qupath",
    "sliderunner",
    "dicom",
    "grandchallenge-2021",
    "grandchallenge-2025",
]
FORMATS: tuple[Format, ...] = get_args(Format)
MANY_SLIDES = ("csv", "coco", "sliderunner")
"""Formats of which one file holds several slides."""
ABOVE_THRESHOLD = ("qupath", "sliderunner", "dicom")
"""Formats that people look at: by default only detections at the threshold or above are written."""
SUFFIXES = {
    "qupath": ".geojson",
    "dicom": ".dcm",
    "grandchallenge-2021": ".json",
    "grandchallenge-2025": ".json",
}


def convert(
    detections: Detections | Mapping[str, Detections] | str | Path,
    target: str | Path,
    *,
    to: Format,
    threshold: float | None = None,
    above_threshold: bool | None = None,
    box_um: float | None = None,
    slides: str | Path | None = None,
    mpp: float | None = None,
) -> list[Path]:
    """Write detections in another format and return the files, or folders, that were written.

    ``detections`` are those of one slide, of several by name, or a file or folder that
    ``read_detections`` reads (``mpp`` is for files without a resolution). ``target`` is a file for
    formats that hold many slides and for a single slide, else a folder. ``above_threshold`` leaves
    out what is below the threshold (None: for QuPath, SlideRunner and DICOM). ``box_um`` is the
    side of boxes for QuPath (None: points) and COCO. ``slides`` is the folder of the images, for
    QuPath's bounds and DICOM references. Raises InputError; slides that cannot be written do not
    stop the others.
    """
    if to not in FORMATS:
        raise DetectionsError.of(
            target, f"unknown format {to!r}", way_out=f"one of {', '.join(FORMATS)}"
        )
    by_name = _by_name(detections, mpp)
    if threshold is not None:
        by_name = {
            name: some.with_provenance(threshold=threshold) for name, some in by_name.items()
        }
    if above_threshold or (above_threshold is None and to in ABOVE_THRESHOLD):
        by_name = {name: some.above_threshold() for name, some in by_name.items()}
    if to in MANY_SLIDES:
        _write_together(by_name, Path(target), to, box_um)
        return [Path(target)]
    return _write_each(by_name, Path(target), to, box_um, None if slides is None else Path(slides))


def _by_name(
    detections: Detections | Mapping[str, Detections] | str | Path, mpp: float | None
) -> dict[str, Detections]:
    if isinstance(detections, Detections):
        return {Path(detections.provenance.image).stem: detections}
    if isinstance(detections, str | Path):
        return read_detections(detections, mpp=mpp)
    return dict(detections)


def _write_together(
    by_name: Mapping[str, Detections], target: Path, to: str, box_um: float | None
) -> None:
    by_name = with_unique_images(by_name)
    if to == "coco":
        coco.write(by_name, target, box_um=box_um or coco.BOX_UM)
    elif to == "csv":
        csv.write(by_name, target)
    else:
        sliderunner.write(by_name, target)


def with_unique_images(by_name: Mapping[str, Detections]) -> dict[str, Detections]:
    """Return detections of which no two have an image of one name, for a file that holds them all.

    Images of one name in different folders are called as their detections are.
    """
    times = Counter(image_path(one.provenance.image).name.casefold() for one in by_name.values())
    renamed = {}
    for name, one in by_name.items():
        image = image_path(one.provenance.image)
        if times[image.name.casefold()] > 1:
            suffix = "" if name.lower().endswith(image.suffix.lower()) else image.suffix
            one = one.with_provenance(image=f"{name}{suffix}")
        renamed[name] = one
    return renamed


def _write_each(
    by_name: Mapping[str, Detections],
    target: Path,
    to: str,
    box_um: float | None,
    slides: Path | None,
) -> list[Path]:
    suffix = SUFFIXES.get(to, "")
    single = suffix and target.suffix.lower() == suffix
    if single and len(by_name) != 1:
        raise DetectionsError.of(
            target, f"cannot hold {len(by_name)} slides", way_out="name a folder to write to"
        )
    # DICOM names the image inside of the file; the others are known by their own name.
    named = with_unique_images(by_name) if to == "dicom" else by_name
    written = []
    problems: list[Problem] = []
    for name, detections in by_name.items():
        path = target if single else target / f"{file_name(name)}{suffix}"
        slide = None if slides is None else slides / detections.provenance.image
        try:
            _write_one(named[name], path, to, box_um, slide)
            written.append(path)
        except (DetectionsError, SlideError) as error:  # of this slide; the others are written
            problems += error.problems
    if problems:
        raise DetectionsError(problems)
    return written


def file_name(case_id: str) -> str:
    """Return a relative path without suffix for a case's file, always inside of the target."""
    text = printable_name(case_id.replace("\0", "_"))
    parts = [part for part in PurePosixPath(text).parts if part not in ("/", "//", "..")]
    return "/".join(parts) or "unnamed"


def _write_one(
    detections: Detections, path: Path, to: str, box_um: float | None, slide: Path | None
) -> None:
    if to == "metaphase":
        save_detections(detections, path)
    elif to == "qupath":
        qupath.write(detections, path, box_um=box_um, offset_px=_offset(slide, detections))
    elif to == "dicom":
        dicom.write(detections, path, source=slide)
    else:
        grandchallenge.write(detections, path, "2021" if to.endswith("2021") else "2025")


def _offset(slide: Path | None, detections: Detections) -> Offset:
    """Return the corner of QuPath's coordinates: from the slide's file, or from the detections."""
    if slide is None:
        return recorded_offset(detections.provenance)
    from metaphase.slides.open import open_slide

    with open_slide(slide, mpp=detections.provenance.mpp or None) as opened:
        return bounds_offset(opened.properties)
