from __future__ import annotations

import numpy as np
import pytest

from metaphase.exchange.dicomannotations import AnnotationGroup, annotation_groups

pydicom = pytest.importorskip("pydicom")

SQUARE = np.array([[100, 100], [150, 100], [150, 150], [100, 150]], float)


def group(kind="POINT", points=SQUARE, *, name="Mitotic figure", starts=None, **more):
    item = pydicom.Dataset()
    item.AnnotationGroupNumber = 1
    item.AnnotationGroupLabel = name
    item.GraphicType = kind
    item.DoublePointCoordinatesData = np.asarray(points, "<f8").tobytes()
    if starts is not None:
        item.LongPrimitivePointIndexList = np.asarray(starts, "<u4").tobytes()
    for key, value in more.items():
        setattr(item, key, value)
    return item


def read(*items, coordinates="2D"):
    dataset = pydicom.Dataset()
    dataset.AnnotationCoordinateType = coordinates
    dataset.AnnotationGroupSequence = list(items)
    return list(annotation_groups(dataset))


@pytest.mark.parametrize(
    ("item", "centres"),
    [
        (group(), SQUARE.tolist()),
        (group("RECTANGLE"), [[125, 125]]),
        (group("ELLIPSE"), [[125, 125]]),
        (group("POLYGON", starts=[1]), [[125, 125]]),
        (group("POLYGON", [*SQUARE, *SQUARE + 10], starts=[1, 9]), [[125, 125], [135, 135]]),
    ],
)
def test_centres_of_every_shape(item, centres):
    (one,) = read(item)
    assert isinstance(one, AnnotationGroup)
    assert one.points.tolist() == centres
    assert one.scores.tolist() == [1] * len(centres)
    assert one.names == ("Mitotic figure",)


def test_parameters_in_free_text_are_passed_over():
    algorithm = pydicom.Dataset()
    algorithm.AlgorithmName = "other"
    algorithm.AlgorithmParameters = "threshold=0.5 (F1-optimal),mpp=0.25um,mpp=0.25,auto"
    (one,) = read(group(AnnotationGroupAlgorithmIdentificationSequence=[algorithm]))
    assert (one.algorithm, one.parameters) == ("other", {"mpp": 0.25})


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (group("RECTANGLE", SQUARE[:3]), "3 points, not 4"),
        (group("POLYGON"), "without a list"),
        (group("POLYGON", starts=[9, 1]), "impossible points"),
        (group("CUBE"), "unknown kind CUBE"),
        (group(points=[[np.nan, 1]]), "not pairs of finite numbers"),
        (pydicom.Dataset(), "unknown kind none"),
    ],
)
def test_groups_that_cannot_be_read(item, said):
    ((record, reason),) = read(item)
    assert record.startswith("group 1")
    assert said in reason or "no coordinates" in reason


def test_positions_in_mm_are_explained():
    ((_, reason),) = read(group(), coordinates="3D")
    assert "mm of the slide" in reason
