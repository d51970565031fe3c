"""The detections of a second model beside those under review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from metaphase.detectionfile import JSON_NAME
from metaphase.errors import DetectionsError, Problem
from metaphase.figures import Detections
from metaphase.models.cardfile import CARD_NAME
from metaphase.provenance import Provenance
from metaphase.slides.mpp import DISAGREEMENT
from metaphase.viewer.columns import Columns, Source
from metaphase.viewer.reference import Reference
from metaphase.viewer.slidecatalogue import (
    CatalogueEntry,
    SlideDetections,
    load_slide_detections,
    matched_detections,
)


def add_second_detections(
    slides: Sequence[CatalogueEntry],
    second: str | Path | Mapping[str, Detections | SlideDetections],
) -> list[CatalogueEntry]:
    """Return the slides with the detections of a second model: in a folder, or by case id.

    A slide without detections there is kept and says so in ``not_compared``. Raises DetectionsError
    where the folder has detections of none of the slides, where it is the folder of the first
    detections, and with every slide whose size or resolution differs between the two.
    """
    folder = Path("second") if isinstance(second, Mapping) else Path(second)
    found = matched_detections([entry.path for entry in slides], _load(second))
    _check(slides, found, folder)
    names = _names(slides, found, folder)
    return [_with_second(entry, found.get(entry.key), *names) for entry in slides]


def _load(
    second: str | Path | Mapping[str, Detections | SlideDetections],
) -> Mapping[str, SlideDetections]:
    from metaphase.models.modelfile import zoo_names

    if isinstance(second, Mapping):
        return load_slide_detections(second)
    folder = Path(second)
    if not folder.exists() and str(folder) not in zoo_names():
        raise DetectionsError.of(
            folder, "does not exist", way_out="name a folder that 'metaphase detect' wrote"
        )
    model = not folder.exists() or ((folder / CARD_NAME).is_file() and not _detected(folder))
    if model:
        raise DetectionsError.of(
            folder,
            "is a model, not detections",
            way_out=f"run 'metaphase detect IMAGES --model {folder} --out FOLDER' and name FOLDER",
        )
    return load_slide_detections(folder)


def _detected(folder: Path) -> bool:
    return next(folder.rglob(JSON_NAME), None) is not None


def _check(
    slides: Sequence[CatalogueEntry], found: Mapping[str, SlideDetections], folder: Path
) -> None:
    pairs = [(entry, found[entry.key]) for entry in slides if entry.key in found]
    if not pairs:
        raise DetectionsError.of(
            folder,
            f"has detections of none of the {len(slides)} opened slides",
            way_out="name the results of another model on the same images",
        )
    for entry, one in pairs:
        if entry.folder and one.folder and entry.folder.resolve() == one.folder.resolve():
            raise DetectionsError.of(
                folder,
                "has the detections under review, which cannot be compared with themselves",
                way_out="name the results of another model with --compare-with",
            )
    problems = [
        problem for entry, one in pairs if (problem := _problem(entry, one, folder)) is not None
    ]
    if problems:
        raise DetectionsError(problems)


def _problem(entry: CatalogueEntry, one: SlideDetections, folder: Path) -> Problem | None:
    """Return why positions of the two sides would not be of one image, if so."""
    second = one.detections.provenance
    width, height, mpp, what = _measures(entry)
    size = second.width_px, second.height_px
    if size != (width, height):
        message = f"is of an image of {size[0]} x {size[1]} px, {what} of {width} x {height} px"
    elif second.mpp and mpp and abs(second.mpp / mpp - 1) > DISAGREEMENT:
        message = f"was computed at {second.mpp:.4g} um/px, {what} at {mpp:.4g} um/px"
    else:
        return None
    return Problem(
        str(one.folder or folder), entry.key, message, "detect in the same image with both models"
    )


def _measures(entry: CatalogueEntry) -> tuple[int, int, float, str]:
    """Return width, height and mpp of what is under review, and what that is."""
    made: Provenance | None = entry.provenance
    if made is not None:
        return made.width_px, made.height_px, made.mpp, "the first detections"
    with entry.open() as pixels:
        return pixels.width_px, pixels.height_px, pixels.mpp, "the slide"


def _names(
    slides: Sequence[CatalogueEntry], found: Mapping[str, SlideDetections], folder: Path
) -> tuple[str, str]:
    """Return two distinct names: of the models where they have some, else of the folders."""
    firsts = {entry.model for entry in slides if entry.provenance is not None}
    seconds = {one.detections.provenance.model for one in found.values()}
    if not firsts:
        return "labels", next(iter(seconds)) if len(seconds) == 1 and all(seconds) else folder.name
    if len(firsts) == len(seconds) == 1 and all(firsts | seconds) and firsts != seconds:
        return firsts.pop(), seconds.pop()
    roots = {entry.folder.parent.name for entry in slides if entry.folder is not None}
    first = roots.pop() if len(roots) == 1 else "first"
    second = folder.resolve().name
    return (first, second) if first != second else (f"{first} (first)", f"{second} (second)")


def _with_second(
    entry: CatalogueEntry, one: SlideDetections | None, first: str, second: str
) -> CatalogueEntry:
    if one is None:
        return replace(entry, not_compared=f"{second} has no detections of this slide.")
    if entry.provenance is None:
        if entry.case is None or not entry.case.labelled:
            return replace(entry, not_compared="This slide has no detections under review.")
        first = "labels"
    provenance = one.detections.provenance
    reference = Reference(
        Source.SECOND, second, first, provenance.threshold, provenance.mpp or None
    )
    columns = entry.columns + Columns.of_detections(one.detections, Source.SECOND)
    return replace(entry, columns=columns, second=reference)
