"""The count with plain options is the count of the rooms' own functions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import metaphase
from metaphase.counting.count import count_slide
from metaphase.counting.window import WindowShape


def some(threshold: float = 0.5) -> metaphase.Detections:
    made = metaphase.Provenance(
        image="a.png", width_px=8000, height_px=8000, mpp=0.25, threshold=threshold
    )
    x, y = [1000, 1100, 1200, 7000], [1000, 1100, 1200, 7000]
    return metaphase.Detections(x, y, [0.9, 0.8, 0.3, 0.7], provenance=made)


def test_plain_options_are_those_of_the_window_and_the_interval() -> None:
    expected = count_slide(
        some(),
        WindowShape.parse("circle", 1.0),
        top=2,
        validation=metaphase.Validation(80, 20, 25),
    )
    result = metaphase.count(some(), shape="circle", area_mm2=1.0, top=2, validation=(80, 20, 25))
    assert result.to_dict() == expected.to_dict()
    assert [hotspot.count for hotspot in result.hotspots] == [2, 1]


def test_a_threshold_replaces_that_of_the_detections() -> None:
    assert metaphase.count(some(), threshold=0.2).total == 4
    assert metaphase.count(some()).total == 3


def test_the_field_diameter_gives_the_area_of_ten_fields() -> None:
    result = metaphase.count(some(), field_diameter_mm=0.5)
    assert result.shape.area_mm2 == pytest.approx(10 * 3.14159 * 0.25**2, rel=1e-4)


def test_a_folder_is_read_with_its_tissue_and_a_review_file(tmp_path: Path) -> None:
    metaphase.save_detections(some(), tmp_path)
    square = [[[0, 0], [2000, 0], [2000, 2000], [0, 2000], [0, 0]]]
    tissue = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": square},
                "properties": {},
            }
        ],
    }
    (tmp_path / "tissue.geojson").write_text(json.dumps(tissue))
    (tmp_path / "review.csv").write_text("x_px,y_px,state\n1000,1000,rejected\n")
    result = metaphase.count(tmp_path, area_mm2=0.2, review=tmp_path / "review.csv")
    assert result.area_is == "tissue"
    assert result.total == 2


def test_a_shape_that_is_none_is_refused() -> None:
    with pytest.raises(metaphase.InputError, match="not a shape"):
        metaphase.count(some(), shape="star")


def test_tissue_is_searched_in_the_folder_of_the_images(tmp_path: Path) -> None:
    pixels = np.full((400, 400, 3), 250, np.uint8)
    pixels[:, :200] = (200, 120, 180)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    provenance = metaphase.Provenance(image="a.png", width_px=400, height_px=400, mpp=5.0)
    detections = metaphase.Detections([50], [50], [0.9], provenance=provenance)
    result = metaphase.count(detections, images=tmp_path)
    assert result.area_is == "tissue"
    assert result.area_mm2 == pytest.approx(2.0, rel=0.1)
    assert metaphase.count(detections).area_is == "image"
    with pytest.raises(metaphase.InputError, match=r"a\.png"):
        metaphase.count(detections, images=tmp_path / "elsewhere")
