from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import InputError
from metaphase.slides.mask import TissueMask
from tests.slides.pictures import calm

CELLS = np.random.default_rng(3).random((14, 20)) > 0.4
# 20 cells of 32 px and 14 cells of 32 px; the slide ends within the last cells.
MASK = TissueMask(CELLS, 8.0, 0.25, 620, 440)


def everything_px() -> np.ndarray:
    return np.kron(CELLS, np.ones((32, 32), bool))[:440, :620]


def test_the_area_ends_with_the_slide() -> None:
    assert MASK.area_mm2 == pytest.approx(everything_px().sum() * 0.25**2 * 1e-6)
    whole = TissueMask(np.ones((1, 1), dtype=bool), 1000.0, 0.25, 4000, 2000)
    assert whole.area_mm2 == pytest.approx(0.5)
    assert whole.covers(3999, 1999)


@calm
@given(st.integers(-40, 600), st.integers(-40, 460), st.integers(1, 300), st.integers(1, 300))
def test_fractions_are_exact(x: int, y: int, w: int, h: int) -> None:
    big = np.pad(np.kron(CELLS, np.ones((32, 32), bool)), 800)
    want = big[800 + y : 800 + y + h, 800 + x : 800 + x + w].mean()
    assert MASK.fraction(x, y, w, h) == pytest.approx(want, abs=1e-9)


def test_fractions_of_many_rectangles() -> None:
    x, y = np.array([[0, 100], [200, 300]]), np.array([[0, 10], [20, 30]])
    got = MASK.fraction(x, y, 64, 64)
    assert got.shape == (2, 2)
    assert got[1, 0] == MASK.fraction(200, 20, 64, 64)


@calm
@given(st.integers(-5000, 70000).map(lambda v: v / 100), st.integers(-50, 500))
def test_points(x: float, y: int) -> None:
    inside = 0 <= x < 640 and 0 <= y < 448
    assert bool(MASK.covers(x, y)) == (inside and bool(CELLS[int(y // 32), int(x // 32)]))


def test_geojson_and_back(tmp_path: Path) -> None:
    path = tmp_path / "tissue.geojson"
    path.write_text(json.dumps(MASK.to_geojson()))
    back = TissueMask.from_geojson(path, 0.25, 620, 440, mpp=8.0)
    assert np.array_equal(back.mask[:13, :19], CELLS[:13, :19])
    feature = MASK.to_geojson()["features"][0]
    assert feature["properties"]["objectType"] == "annotation"
    points = np.concatenate([r for p in feature["geometry"]["coordinates"] for r in p])
    assert points.max(axis=0).tolist() == [620, 440]
    fine = TissueMask.from_geojson(path, 0.25, 620, 440)
    assert fine.area_mm2 == pytest.approx(MASK.area_mm2, rel=0.02)


def test_an_empty_mask_has_no_features() -> None:
    empty = TissueMask(np.zeros((3, 3), bool), 8.0, 0.25, 90, 90)
    assert empty.to_geojson()["features"] == []
    assert empty.area_mm2 == 0


SQUARE = [[[0, 0], [100, 0], [100, 80], [0, 80], [0, 0]]]


@pytest.mark.parametrize(
    "document",
    [
        {"type": "Polygon", "coordinates": SQUARE},
        {"type": "MultiPolygon", "coordinates": [SQUARE]},
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": SQUARE}},
        [{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": SQUARE}}],
        {"type": "FeatureCollection", "features": [
            {"type": "Feature", "geometry": None},
            {"type": "Feature", "geometry": {"type": "GeometryCollection", "geometries": [
                {"type": "Point", "coordinates": [1, 2]},
                {"type": "Polygon", "coordinates": SQUARE}]}}]},
    ],
)  # fmt: skip
def test_polygons_are_found_wherever_they_are(tmp_path: Path, document: object) -> None:
    path = tmp_path / "roi.geojson"
    path.write_text(json.dumps(document))
    roi = TissueMask.from_geojson(path, 0.5, 1000, 1000)
    assert roi.area_mm2 == pytest.approx(100 * 80 * 0.25e-6)
    assert roi.covers(99, 79)
    assert not roi.covers(101, 79)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("{}", "no polygon"),
        ('{"type": "Point", "coordinates": [1, 2]}', "no polygon"),
        ('{"type": "Polygon", "coordinates": [[["a", 2]]]}', "not valid"),
        ('{"type": "Polygon", "coordinates": 5}', "not valid"),
        ('{"type": "Polygon"}', "not valid"),
        ('{"type": "Polygon", "coordinates": [[[NaN, 1], [2, 3], [4, 5]]]}', "no numbers"),
        ('{"type": "Polygon", "coordinates": [[[9e3, 9e3], [9e4, 9e3], [9e4, 9e4]]]}', "slide"),
    ],
)
def test_files_that_are_no_region(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "roi.geojson"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"roi\.geojson.*{says}"):
        TissueMask.from_geojson(path, 0.5, 1000, 1000)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        TissueMask.from_geojson(tmp_path / "none", 0.5, 10, 10)


def test_intersections() -> None:
    left = TissueMask(np.array([[True, False]]), 32.0, 0.25, 256, 128)
    both = MASK.intersection(left)
    assert np.array_equal(both.mask[:4, :4], CELLS[:4, :4])
    assert not both.mask[:, 4:].any()
    assert np.array_equal(left.intersection(MASK).mask, both.mask)
