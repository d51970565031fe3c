"""The slide that DICOM annotations belong to: its resolution, and where it lies on the glass.

Annotations may give positions in mm of the slide's coordinate system (PS3.3 C.8.12.2), or in pixels
of a lower level. Both become pixels of the full-resolution level with the slide's own DICOM files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.files import open_regular
from metaphase.imagefiles.dicomheader import dicom_header

if TYPE_CHECKING:
    from pydicom import Dataset

_TAGS = [
    *("SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "ImageType"),
    *("TotalPixelMatrixColumns", "TotalPixelMatrixRows", "TotalPixelMatrixOriginSequence"),
    *("ImageOrientationSlide", "SharedFunctionalGroupsSequence"),
]


@dataclass(frozen=True, slots=True)
class DicomImage:
    """The full-resolution level of a slide. Lengths in mm; ``size`` is width and height in px.

    ``origin`` is the centre of the first pixel; the columns of ``steps`` [2, 2] are the steps from
    one pixel to the next along a row and along a column. ``scale`` are the pixels of this level for
    one pixel of the level that the annotations refer to, None where they do not say which.
    """

    size: tuple[int, int]
    spacing: tuple[float, float]
    origin: FloatArray
    steps: FloatArray
    scale: FloatArray | None

    @property
    def mpp(self) -> float:
        """The resolution in um/px."""
        return 1000 * sum(self.spacing) / 2

    def from_mm(self, points_mm: FloatArray) -> FloatArray:
        """Return pixels [n, 2] of points [n, 2 or 3] in mm; heights are left out."""
        offsets = points_mm[:, :2] - self.origin
        return np.asarray(np.linalg.solve(self.steps, offsets.T).T + 0.5)

    def from_pixels(self, points: FloatArray) -> FloatArray:
        """Return pixels [n, 2] of this level of pixels [n, 2] of the level that was annotated."""
        return points if self.scale is None else points * self.scale


def find_image(annotations: Dataset, places: Iterable[Path]) -> DicomImage | None:
    """Return the slide of annotations from files and folders; None where it is not among them."""
    images = list(_images(places))
    references = annotations.get("ReferencedImageSequence") or []
    instances = {str(item.get("ReferencedSOPInstanceUID", "")) for item in references}
    frame = str(annotations.get("FrameOfReferenceUID", ""))
    named = [image for image in images if str(image.get("SOPInstanceUID")) in instances]
    related = named or [i for i in images if frame and str(i.get("FrameOfReferenceUID")) == frame]
    if not related:
        return None
    series = {str(image.get("SeriesInstanceUID")) for image in related}
    levels = [image for image in images if str(image.get("SeriesInstanceUID")) in series]
    full = max(levels, key=lambda image: _size(image)[0])
    return _described(full, named[0] if named else None)


def _images(places: Iterable[Path]) -> Iterator[Dataset]:
    """Yield the headers of all pyramid levels in files and folders."""
    from pydicom import dcmread

    for path in dict.fromkeys(file.absolute() for place in places for file in _files(place)):
        header = dicom_header(path)
        if header is None or not header.is_image:
            continue
        try:
            with open_regular(path) as stream:
                image = dcmread(stream, stop_before_pixels=True, specific_tags=list(_TAGS))
            kinds = [str(kind) for kind in image.get("ImageType") or ()]
        except Exception:  # a damaged file is not the image that is searched for
            continue
        if min(_size(image)) > 0 and not {"LABEL", "OVERVIEW", "THUMBNAIL"} & set(kinds):
            yield image


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(path for path in place.iterdir() if path.is_file())
    return [place] if place.is_file() else []


def _size(image: Dataset) -> tuple[int, int]:
    columns, rows = image.get("TotalPixelMatrixColumns"), image.get("TotalPixelMatrixRows")
    return int(columns or 0), int(rows or 0)


def _described(image: Dataset, annotated: Dataset | None) -> DicomImage | None:
    """Return what an image says of its place; None where that is incomplete."""
    down, right = _numbers(_pixel_spacing(image), 2)
    origin_item: Any = next(iter(image.get("TotalPixelMatrixOriginSequence") or []), {})
    origin = np.array(
        [
            *_numbers([origin_item.get("XOffsetInSlideCoordinateSystem")], 1),
            *_numbers([origin_item.get("YOffsetInSlideCoordinateSystem")], 1),
        ]
    )
    along = _numbers(image.get("ImageOrientationSlide") or [], 6)
    steps = np.array([[along[0] * right, along[3] * down], [along[1] * right, along[4] * down]])
    known = np.isfinite([*steps.flat, *origin]).all() and min(down, right) > 0
    if not known or abs(np.linalg.det(steps)) < 1e-6 * down * right:
        return None
    size = _size(image)
    scale = None if annotated is None else np.array(size) / np.array(_size(annotated))
    return DicomImage(size, (right, down), origin, steps, scale)


def _pixel_spacing(image: Dataset) -> Any:
    """Return the distances of rows and of columns in mm; empty where they are missing."""
    groups: Any = next(iter(image.get("SharedFunctionalGroupsSequence") or []), {})
    measures: Any = next(iter(groups.get("PixelMeasuresSequence") or []), {})
    return measures.get("PixelSpacing") or []


def _numbers(values: Any, count: int) -> list[float]:
    """Return ``count`` numbers; NaN for each where there are others."""
    values = list(values)
    if len(values) != count or any(value is None for value in values):
        return [float("nan")] * count
    return [float(value) for value in values]
