"""Routes for decisions, export and agreement."""

from __future__ import annotations

import io
import zipfile

import pytest

from tests.viewer.conftest import WIDTH, decide, ids


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
