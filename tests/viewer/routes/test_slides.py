"""Routes for slides, figures, counts and density."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from fastapi.testclient import TestClient

from metaphase.figures import Figure
from metaphase.labels.dataset import Case, Dataset
from metaphase.viewer.app import create_app
from metaphase.viewer.seconddetections import add_second_detections
from metaphase.viewer.slidecatalogue import find_images, open_slides
from tests.viewer.conftest import HEIGHT, MPP, WIDTH, decide, found, ids, picture, save_second


def test_the_session_and_the_slides(client):
    assert client.get("/api/session").json()["reviewer"] == "anna"
    a, b = client.get("/api/slides").json()
    assert (a["name"], a["figures"], a["threshold"], a["decided"]) == ("a", 20, 0.5, 0)
    expected = found("a.png").above_threshold()
    assert a["count"] == int((expected.label == 0).sum())
    assert (b["name"], b["figures"], b["complete"]) == ("b", 4, False)


def test_one_slide(client, slug):
    told = client.get(f"/api/slides/{slug.a}").json()
    assert (told["width_px"], told["height_px"], told["mpp"]) == (WIDTH, HEIGHT, MPP)
    assert told["levels"] == 11


def test_figures_arrive_as_they_are(client, slug):
    data = client.get(f"/api/slides/{slug.a}/figures").content
    assert data[:4] == b"MFC2"
    (n,) = struct.unpack("<I", data[4:8])
    assert len(data) == 8 + n * 18
    x, y = np.frombuffer(data, "<i4", 2 * n, 8).reshape(2, n) / 100
    score = np.frombuffer(data, "<f4", n, 8 + 8 * n)
    label = np.frombuffer(data, "u1", n, 8 + 16 * n)
    expected = found("a.png")
    np.testing.assert_array_equal(x, expected.x_px)
    np.testing.assert_array_equal(y, expected.y_px)
    np.testing.assert_array_equal(score, expected.score.astype(np.float32))
    np.testing.assert_array_equal(label, expected.label)


def test_a_damaged_slide_is_told(client, slug, slides):
    slides[0].path.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    answer = client.get(f"/api/slides/{slug.a}")
    assert answer.status_code == 422
    assert "a.png" in answer.json()["error"]


def test_hotspot_and_density_follow_threshold_and_review(client, slug, slides):
    where = f"/api/slides/{slug.a}/hotspot"
    at = {"threshold": 0.5, "shape": "circle", "area_mm2": 0.005}
    before = client.get(where, params=at).json()
    assert before["count"] == client.get("/api/slides").json()[0]["count"]
    assert before["hotspot"]["kind"] == "circle"
    assert client.get(where, params={**at, "threshold": 0}).json()["count"] == 15
    decide(client, slug.a, ids(slides)[1], "rejected")
    assert client.get(where, params=at).json()["count"] == before["count"] - 1
    none = {**at, "threshold": 1}
    nothing = client.get(where, params=none).json()
    assert (nothing["count"], nothing["hotspot"]) == (0, None)
    density = client.get(f"/api/slides/{slug.a}/density", params={"threshold": 0.5}).json()
    assert density["most"] > 0
    assert client.get(where, params={**at, "shape": "star"}).status_code == 422
    assert client.get(where, params={**at, "threshold": 2}).status_code == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"area_mm2": "1e308"},
        {"area_mm2": "1e-308"},
        {"area_mm2": "nan"},
        {"area_mm2": "-1"},
        {"shape": "1e308:1e-308"},
        {"shape": "1:1e9"},
        {"shape": "nan:1"},
        {"shape": "0:0"},
        {"shape": "x" * 5000},
        {"field_mm": "1e9"},
        {"threshold": "nan"},
        {"threshold": "1e400"},
    ],
)
def test_absurd_windows_are_refused(client, slug, wrong):
    query = {"threshold": 0.5, **wrong}
    answer = client.get(f"/api/slides/{slug.a}/hotspot", params=query)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_warnings_of_the_detections_are_shown(folder, store, page_built):
    shifted = found("a.png").with_parameters(network_mpp=0.05)
    slides = open_slides(find_images([folder]), detections={"a": shifted}, mpp=MPP)
    expected = list(slides[0].provenance.warnings)
    app = create_app(slides, store, reviewer="anna", token=None, hosts=None)
    with TestClient(app) as client:
        first, second = client.get("/api/slides").json()
    assert expected
    assert first["warnings"] == expected
    assert second["warnings"] == []


def test_a_name_that_is_no_text_is_served(tmp_path, store, page_built):
    (tmp_path / "s").mkdir()
    path = tmp_path / "s" / "slide \udcff.png"
    try:
        picture(path, 40, 40)
    except (OSError, UnicodeEncodeError):
        pytest.skip("this file system has no such names")
    slides = open_slides(find_images([tmp_path / "s"]), mpp=MPP)
    app = create_app(slides, store, reviewer="anna", token=None, hosts=None)
    with TestClient(app) as client:
        (only,) = client.get("/api/slides").json()
        assert only["name"] == r"slide \xff"
        assert decide(client, only["slug"], "", "undone").status_code == 201
        assert client.get(f"/api/slides/{only['slug']}").status_code == 200


def test_slides_that_are_not_compared_say_so(client, slug):
    one = client.get(f"/api/slides/{slug.a}").json()
    assert (one["references"], one["not_compared"]) == ([], "")
    assert client.get("/api/slides").json()[0]["differences"] is None
    for reference, status in (("labels", 404), ("second", 404), ("other", 422)):
        query = {"threshold": 0.5, "reference": reference}
        assert client.get(f"/api/slides/{slug.a}/comparison", params=query).status_code == status


def test_the_comparison_with_labels(folder, store, page_built):
    known = Dataset([Case("a", folder / "a.png", figures=(Figure("1", 1200.0, 100.0),))])
    slides = open_slides(
        find_images([folder]), detections={"a": found("a.png")}, labels=known, mpp=MPP
    )
    app = create_app(slides, store, reviewer="anna", token=None, hosts=None)
    with TestClient(app) as client:
        where = f"/api/slides/{slides[0].slug}"
        (reference,) = client.get(where).json()["references"]
        assert (reference["key"], reference["source"], reference["against"]) == ("labels", 1, "toy")
        query = {"threshold": 0.5, "reference": "labels"}
        before = client.get(f"{where}/comparison", params=query).json()
        assert (len(before["both"]), len(before["only_first"]), before["only_second"]) == (
            0,
            7,
            [20],
        )
        decide(client, slides[0].slug, "a-1", "added", x_px=1201, y_px=100)
        after = client.get(f"{where}/comparison", params=query).json()
        assert (len(after["both"]), after["only_second"]) == (1, [])
        assert client.get("/api/slides").json()[0]["differences"] is None


def test_the_comparison_of_two_models(slides, store, page_built, tmp_path):
    save_second(tmp_path / "second")
    both = add_second_detections(slides, tmp_path / "second")
    app = create_app(both, store, reviewer="anna", token=None, hosts=None)
    with TestClient(app) as client:
        a, b = client.get("/api/slides").json()
        one, other = (client.get(f"/api/slides/{entry.slug}").json() for entry in both)
        assert one["references"] == [
            {"key": "second", "name": "other", "against": "toy", "threshold": 0.4, "source": 2}
        ]
        assert (other["references"], other["not_compared"][:5]) == ([], "other")
        query = {"threshold": 0.9, "reference": "second"}
        got = client.get(f"/api/slides/{both[0].slug}/comparison", params=query).json()
        assert (got["threshold"], len(got["both"]), len(got["only_second"])) == (0.5, 3, 1)
        assert a["differences"] == len(got["only_first"]) + 1
        assert b["differences"] is None
        assert a["figures"] == 20, "those of the second model are not up for review"
        rejected = "s120000_10000_0"
        assert decide(client, both[0].slug, rejected, "confirmed").status_code == 422
        assert decide(client, both[0].slug, rejected, "rejected").status_code == 201
        after = client.get("/api/slides").json()[0]
        assert (after["count"], after["to_review"]) == (a["count"], a["to_review"])
        assert decide(client, both[0].slug, rejected, "undone").status_code == 201
