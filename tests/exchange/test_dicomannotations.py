from __future__ import annotations

import numpy as np
import pytest

from metaphase.exchange.dicomannotations import AnnotationGroup, annotation_groups
from metaphase.exchange.dicomimage import DicomImage

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


def read(*items, coordinates="2D", image=None):
    dataset = pydicom.Dataset()
    dataset.AnnotationCoordinateType = coordinates
    dataset.AnnotationGroupSequence = list(items)
    return list(annotation_groups(dataset, image))


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
    side = 0 if item.GraphicType == "POINT" else 50
    assert one.sizes.tolist() == [[side, side]] * len(centres)
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


def test_positions_in_mm_need_the_slide():
    ((_, reason),) = read(group(CommonZCoordinateValue=0.1), coordinates="3D")
    assert "mm of the slide" in reason
    assert "--images" in reason


IMAGE = DicomImage(
    size=(4000, 3000),
    spacing=(0.00025, 0.00025),
    origin=np.array([10.0, 20.0]),
    steps=np.array([[0.0, -0.00025], [-0.00025, 0.0]]),  # rotated by a quarter, as on most scanners
    scale=np.array([4.0, 4.0]),
)


@pytest.mark.parametrize("height", [None, 0.0, 0.003])
@pytest.mark.parametrize("kind", ["POINT", "POLYGON", "RECTANGLE"])
def test_positions_in_mm_become_pixels_of_the_slide(kind, height):
    """With the height of each point, or with one that is common to all."""
    points = np.array([[10 - 0.00025 * (y - 0.5), 20 - 0.00025 * (x - 0.5)] for x, y in SQUARE])
    more = {"CommonZCoordinateValue": 0.1} if height is None else {}
    if height is not None:
        points = np.column_stack([points, np.full(4, height)])
    starts = [1] if kind == "POLYGON" else None
    (one,) = read(group(kind, points, starts=starts, **more), coordinates="3D", image=IMAGE)
    expected = SQUARE if kind == "POINT" else [[125, 125]]
    assert one.points == pytest.approx(np.array(expected), abs=1e-6)


def test_starts_of_outlines_count_values_of_three():
    points = np.column_stack([np.tile(SQUARE, (2, 1)), np.zeros(8)])
    (one,) = read(group("POLYGON", points, starts=[1, 13]), coordinates="3D", image=IMAGE)
    assert one.points.shape == (2, 2)
    ((_, reason),) = read(group(points=SQUARE[:2]), coordinates="3D", image=IMAGE)
    assert "not triplets" in reason


def test_pixels_of_a_lower_level_become_those_of_the_slide():
    (one,) = read(group("RECTANGLE"), image=IMAGE)
    assert one.points.tolist() == [[500, 500]]


def test_other_coordinates_are_refused():
    ((_, reason),) = read(group(), coordinates="4D")
    assert "unknown kind 4D" in reason
