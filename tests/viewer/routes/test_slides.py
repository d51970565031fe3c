"""Routes for slides, figures, counts and density."""

from __future__ import annotations

import struct

import numpy as np

from tests.viewer.conftest import HEIGHT, MPP, WIDTH, decide, found, ids


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
    assert data[:4] == b"MFC1"
    (n,) = struct.unpack("<I", data[4:8])
    assert len(data) == 8 + n * 14
    x, y = np.frombuffer(data, "<i4", 2 * n, 8).reshape(2, n) / 100
    score = np.frombuffer(data, "<f4", n, 8 + 8 * n)
    label = np.frombuffer(data, "u1", n, 8 + 12 * n)
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
