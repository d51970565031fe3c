"""The annotation groups of a DICOM Microscopy Bulk Simple Annotations object, as arrays.

Read from the data set itself (PS3.3 C.37.1), because objects of other programs do not always have
every attribute that the standard asks for. Positions are pixels of the total pixel matrix (2D), or
mm of the slide's coordinate system (3D), which become pixels where the slide is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import FloatArray
from metaphase.exchange.dicomimage import DicomImage
from metaphase.values import finite

if TYPE_CHECKING:
    from pydicom import Dataset

_POINTS_EACH = {"POINT": 1, "RECTANGLE": 4, "ELLIPSE": 4}
_WITH_INDEX = ("POLYGON", "POLYLINE")
_SCORE_NAMES = {"probability", "score", "confidence", "detection probability"}


class UnreadableGroupError(ValueError):
    """A group cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class AnnotationGroup:
    """One group. ``names``: its label, then the meaning of its property type.

    ``points`` [n, 2] are the points, or the centres of the shapes, and ``sizes`` [n, 2] width and
    height of the shapes, 0 for points, all in pixels; ``scores`` [n].
    """

    record: str
    names: tuple[str, ...]
    points: FloatArray
    sizes: FloatArray
    scores: FloatArray
    algorithm: str
    parameters: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Space:
    """What the coordinates of an object are: ``dimensions`` is 2D or 3D."""

    dimensions: str
    image: DicomImage | None


def annotation_groups(
    dataset: Dataset, image: DicomImage | None = None
) -> Iterator[AnnotationGroup | tuple[str, str]]:
    """Yield every group; of one that cannot be read its name and the reason.

    ``image`` is the slide; without it, positions in mm cannot be read.
    """
    space = _Space(str(dataset.get("AnnotationCoordinateType", "2D")), image)
    frames = str(dataset.get("PixelOriginInterpretation", "VOLUME")) == "FRAME"
    for number, item in enumerate(dataset.get("AnnotationGroupSequence") or [], 1):
        label = str(item.get("AnnotationGroupLabel") or "")
        record = f"group {item.get('AnnotationGroupNumber', number)} ({label})"
        try:
            if frames and space.dimensions == "2D":
                raise UnreadableGroupError("counts pixels from its frames, which is not supported")
            yield _group(record, label, item, space)
        except UnreadableGroupError as error:
            yield record, str(error)


def _group(record: str, label: str, item: Dataset, space: _Space) -> AnnotationGroup:
    low, high = _bounds(item, space)
    scores = _scores(item, len(low))
    meaning = [str(code.get("CodeMeaning", "")) for code in _codes(item)]
    algorithm, parameters = _algorithm(item)
    return AnnotationGroup(
        record,
        (label, *meaning),
        points=(low + high) / 2,
        sizes=high - low,
        scores=scores,
        algorithm=algorithm,
        parameters=parameters,
    )


def _codes(item: Dataset) -> list[Dataset]:
    return list(item.get("AnnotationPropertyTypeCodeSequence") or [])


def _bounds(item: Dataset, space: _Space) -> tuple[FloatArray, FloatArray]:
    """Return the corners [n, 2] of the bounds of each shape, in pixels."""
    kind = str(item.get("GraphicType", ""))
    if kind not in (*_POINTS_EACH, *_WITH_INDEX):
        raise UnreadableGroupError(f"has shapes of the unknown kind {kind or 'none'}")
    values = _values_each(item, space.dimensions)
    coordinates = _in_pixels(_coordinates(item, values), space)
    if kind in _POINTS_EACH:
        each = _POINTS_EACH[kind]
        if len(coordinates) % each:
            raise UnreadableGroupError(f"has {len(coordinates)} points, not {each} for each shape")
        shapes = coordinates.reshape(-1, each, 2)
        # Of a rectangle's corners, and of the ends of an ellipse's axes.
        return shapes.min(axis=1), shapes.max(axis=1)
    return _outline_bounds(coordinates, _starts(item, len(coordinates), values))


def _values_each(item: Dataset, dimensions: str) -> int:
    """Return the numbers of each point: a height that is common to all is not repeated."""
    if dimensions not in ("2D", "3D"):
        raise UnreadableGroupError(f"has positions of the unknown kind {dimensions}")
    return 3 if dimensions == "3D" and item.get("CommonZCoordinateValue") is None else 2


def _in_pixels(coordinates: FloatArray, space: _Space) -> FloatArray:
    if space.dimensions == "2D":
        return coordinates if space.image is None else space.image.from_pixels(coordinates)
    if space.image is None:
        raise UnreadableGroupError(
            "has positions in mm of the slide (3D): the DICOM files of the slide are needed; put"
            " them into the same folder, or name them with --images"
        )
    return space.image.from_mm(coordinates)


def _coordinates(item: Dataset, each: int) -> FloatArray:
    for name, kind in (("DoublePointCoordinatesData", "<f8"), ("PointCoordinatesData", "<f4")):
        data = item.get(name)
        if isinstance(data, bytes):
            values = _values(data, kind)
            if len(values) % each or not np.isfinite(values).all():
                what = "pairs" if each == 2 else "triplets"
                raise UnreadableGroupError(f"has coordinates that are not {what} of finite numbers")
            return values.reshape(-1, each)
    raise UnreadableGroupError("has no coordinates")


def _starts(item: Dataset, count: int, each: int) -> NDArray[np.int64]:
    """Return the index of the first point of each outline, with the number of points at the end."""
    data = item.get("LongPrimitivePointIndexList")
    if not isinstance(data, bytes):
        raise UnreadableGroupError("has outlines without a list of where they begin")
    # 1-based indices of values, of which each point has two or three.
    first = (np.frombuffer(data[: len(data) // 4 * 4], "<u4").astype(np.int64) - 1) // each
    starts = np.append(first, count)
    if len(first) and (first[0] != 0 or (np.diff(starts) <= 0).any()):
        raise UnreadableGroupError("has outlines that begin at impossible points")
    return starts


def _outline_bounds(
    coordinates: FloatArray, starts: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    if len(starts) < 2:
        return np.zeros((0, 2)), np.zeros((0, 2))
    low = np.minimum.reduceat(coordinates, starts[:-1], axis=0)
    high = np.maximum.reduceat(coordinates, starts[:-1], axis=0)
    return low, high


def _scores(item: Dataset, count: int) -> FloatArray:
    """Return the measurement that is a probability, or ones."""
    for measurement in item.get("MeasurementsSequence") or []:
        names = measurement.get("ConceptNameCodeSequence") or []
        if not {str(code.get("CodeMeaning", "")).lower() for code in names} & _SCORE_NAMES:
            continue
        values = next(iter(measurement.get("MeasurementValuesSequence") or []), None)
        data = None if values is None else values.get("FloatingPointValues")
        if values is None or not isinstance(data, bytes):
            continue
        scores = _values(data, "<f4")
        if "AnnotationIndexList" in values or len(scores) != count:
            raise UnreadableGroupError(f"has {len(scores)} scores for {count} annotations")
        return scores
    return np.ones(count)


def _values(data: bytes, kind: str) -> FloatArray:
    size = np.dtype(kind).itemsize
    return np.frombuffer(data[: len(data) // size * size], kind).astype(np.float64)


def _algorithm(item: Dataset) -> tuple[str, dict[str, float]]:
    """Return the algorithm's name and those of its parameters that are numbers.

    AlgorithmParameters is free text: "threshold=0.5,mpp=0.25" is how metaphase writes it.
    """
    for algorithm in item.get("AnnotationGroupAlgorithmIdentificationSequence") or []:
        pairs: list[tuple[str, Any]] = [
            (name.strip(), finite(value.strip()))
            for part in str(algorithm.get("AlgorithmParameters", "")).split(",")
            for name, found, value in (part.partition("="),)
            if found
        ]
        numbers = {name: value for name, value in pairs if value is not None}
        return str(algorithm.get("AlgorithmName", "")), numbers
    return "", {}
