"""Detections in QuPath's GeoJSON: what is written is read again, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from metaphase.errors import DetectionsError
from metaphase.exchange import qupath
from metaphase.exchange.importedfile import ImageFacts
from metaphase.figures import Detections, Label
from metaphase.provenance import Provenance

FACTS = ImageFacts(mpp=0.25)


def found(mpp: float = 0.25) -> Detections:
    made = Provenance(image="a.svs", width_px=4000, height_px=3000, mpp=mpp, threshold=0.3)
    labels = [Label.MITOTIC.code, Label.MITOTIC.code, Label.HARD_NEGATIVE.code]
    return Detections([100, 220.5, 300], [50, 60, 70], [0.9, 0.4, 0.2], labels, provenance=made)


def features_of(path: Path) -> list[dict[str, Any]]:
    content = json.loads(path.read_text("utf-8"))
    return list(content["features"] if isinstance(content, dict) else content)


@pytest.mark.parametrize("box_um", [None, 12.5])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (1000.0, 500.0)])
def test_what_is_written_is_read_again(
    tmp_path: Path, box_um: float | None, offset: tuple[float, float]
) -> None:
    path = tmp_path / "a.geojson"
    qupath.write(found(), path, box_um=box_um, offset_px=offset)
    (again,) = qupath.read(path, FACTS, image="a.svs", offset_px=offset).values()
    np.testing.assert_allclose(again.points, found().points, atol=0.06)
    assert again.score.tolist() == found().score.tolist()
    assert again.label.tolist() == found().label.tolist()


def test_positions_are_counted_from_the_bounds_of_the_slide(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    qupath.write(found(), path, offset_px=(40, 30))
    points = [feature["geometry"]["coordinates"] for feature in features_of(path)]
    assert points[0] == [60, 20]


def test_boxes_have_the_side_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    qupath.write(found(), path, box_um=12.5)
    ring = np.array(features_of(path)[0]["geometry"]["coordinates"][0])
    assert (np.ptp(ring, axis=0) == 50).all()
    assert ring.min(axis=0).tolist() == [75, 25]


def test_boxes_need_a_resolution(tmp_path: Path) -> None:
    with pytest.raises(DetectionsError, match="--mpp"):
        qupath.write(found(mpp=0.0), tmp_path / "a.geojson", box_um=12.5)
    assert not list(tmp_path.iterdir())


def point(class_name: str, x: object = 10, **measurements: float) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [x, 20]},
        "properties": {
            "classification": {"name": class_name},
            "measurements": measurements,
        },
    }


def written(folder: Path, *features: dict[str, Any]) -> Path:
    path = folder / "a.geojson"
    content = {"type": "FeatureCollection", "features": list(features)}
    path.write_text(json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize("name", ["score", "Probability", "confidence"])
def test_the_score_is_a_measurement_or_1(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, point("Mitotic figure", **{name: 0.25}), point("Mitotic figure", 40))
    (again,) = qupath.read(path, FACTS).values()
    assert sorted(again.score.tolist()) == [0.25, 1.0]


def test_every_object_that_is_wrong_is_named(tmp_path: Path) -> None:
    region = point("Mitotic figure")
    ring = [[0, 0], [9000, 0], [9000, 9000], [0, 9000], [0, 0]]
    region["geometry"] = {"type": "Polygon", "coordinates": [ring]}
    path = written(
        tmp_path, point("Mitotic figure", score=7.0), region, point("Mitosis?"), point("Mitosis")
    )
    with pytest.raises(DetectionsError) as error:
        qupath.read(path, FACTS)
    messages = [problem.message for problem in error.value.problems]
    assert len(messages) == 3
    assert "7" in messages[0]
    assert "single cell" in messages[1]
    assert "Mitosis?" in messages[2]
