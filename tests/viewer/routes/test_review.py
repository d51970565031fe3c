"""Routes for decisions, export and agreement."""

from __future__ import annotations

import io
import zipfile

import pytest

from metaphase.viewer.store import State
from tests.viewer.conftest import WIDTH, confirm_all, decide, first_mitotic, ids, put


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
    archive = zipfile.ZipFile(io.BytesIO(client.get("/api/export.zip").content))
    names = ["reviewed/cases.csv", "reviewed/figures.csv", "reviewed/review.csv"]
    assert sorted(archive.namelist()) == names


def test_a_slide_with_undecided_figures_is_not_complete(client, slug, slides, store):
    refused = decide(client, slug.a, "", "complete")
    assert refused.status_code == 409
    assert "7 figures above the threshold are undecided" in refused.json()["error"]
    confirm_all(store, slides[0])
    assert decide(client, slug.a, "", "complete").status_code == 201
    assert client.get("/api/slides").json()[0]["complete"]


def test_the_threshold_is_kept_by_reader_and_slide(open_page, slug):
    anna, ben = open_page("anna"), open_page("ben")
    assert remark(anna, slug.a, "threshold", "0.75").status_code == 201
    first, second = anna.get("/api/slides").json()
    assert (first["threshold"], first["default_threshold"], second["threshold"]) == (0.75, 0.5, 0.5)
    assert ben.get("/api/slides").json()[0]["threshold"] == 0.5
    assert first["to_review"] < ben.get("/api/slides").json()[0]["to_review"]


def test_one_number_counts_what_is_to_review(client, slug, slides, store):
    """Candidates above the threshold and those at most 0.1 below it."""
    columns = slides[0].columns
    waiting = int(((columns.label == 0) & (columns.score >= 0.4)).sum())
    assert client.get("/api/slides").json()[0]["to_review"] == waiting
    confirm_all(store, slides[0], 0.4)
    assert client.get("/api/slides").json()[0]["to_review"] == 0


def remark(client, slug, kind, value, figure=""):
    body = {"kind": kind, "value": value, "figure": figure}
    return client.post(f"/api/slides/{slug}/remarks", json=body)


def test_comments_come_back_to_all_but_blind_readers(open_page, slug, slides):
    anna, ben = open_page("anna"), open_page("ben", blind=True)
    figure = ids(slides)[0]
    assert remark(anna, slug.a, "comment", " metaphase plate ", figure).status_code == 201
    told = anna.get(f"/api/slides/{slug.a}/decisions").json()
    assert [(c["figure"], c["text"], c["reviewer"]) for c in told["comments"]] == [
        (figure, "metaphase plate", "anna")
    ]
    same = f"/api/slides/{slug.a}/decisions?remarks_after={told['remarks_seq']}"
    assert anna.get(same).json()["comments"] is None
    assert ben.get(f"/api/slides/{slug.a}/decisions").json()["comments"] == []
    remark(anna, slug.a, "comment", "", figure)
    assert anna.get(same).json()["comments"] == []


def test_a_slide_is_assigned_to_a_reader(client, slug):
    assert remark(client, slug.b, "assigned", "ben").status_code == 201
    assert [s["assigned"] for s in client.get("/api/slides").json()] == ["", "ben"]


@pytest.mark.parametrize(
    ("kind", "value", "figure", "status"),
    [
        ("comment", "x", "", 422),
        ("comment", "x", "d1_1_0", 404),
        ("threshold", "2", "", 422),
        ("threshold", "nan", "", 422),
        ("assigned", "x", "d1_1_0", 422),
        ("colour", "x", "", 422),
        ("assigned", "x" * 2001, "", 422),
    ],
)
def test_remarks_without_sense_are_refused(client, slug, kind, value, figure, status):
    answer = remark(client, slug.a, kind, value, figure)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"figure": "a-1", "state": "added", "x_px": NaN, "y_px": 1}',
        b'{"figure": "a-1", "state": "added", "x_px": 1e999, "y_px": 1}',
        b'{"figure": "\\ud800", "state": "added", "x_px": 1, "y_px": 1}',
        b'{"figure": "a-1", "state": "confirmed", "label": "\\udfff"}',
        b'{"figure": ' + b"[" * 5000,
        b'{"figure": 1' + b"0" * 5000 + b"}",
        b"\xff\xfe",
        b"",
    ],
)
def test_odd_bodies_are_answered_in_json(client, slug, body):
    where = f"/api/slides/{slug.a}/decisions"
    answer = client.post(where, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 404, 422)
    assert answer.json()["error"]


def test_large_numbers_in_addresses_are_refused(client, slug):
    where = f"/api/slides/{slug.a}/decisions"
    for after in ("9" * 30, "9" * 5000, "-2", "nan"):
        assert client.get(where, params={"after": after}).status_code == 422


def test_a_store_that_fails_is_told_to_the_page(client, slug, slides, store, tmp_path):
    import sqlite3

    database = sqlite3.connect(tmp_path / "review.sqlite")
    database.execute("DROP TABLE decisions")
    database.commit()
    database.close()
    answer = decide(client, slug.a, ids(slides)[0])
    assert answer.status_code == 503
    assert "review.sqlite" in answer.json()["error"]


def test_the_figures_on_which_readers_differ(client, open_page, slides, store, slug):
    figure = first_mitotic(slides[0])
    put(store, slides[0], figure, State.CONFIRMED, reviewer="anna")
    put(store, slides[0], figure, State.REJECTED, reviewer="ben")
    query = {"first": "anna", "second": "ben"}
    answer = client.get("/api/disagreements", params=query).json()
    assert answer == {"slides": [{"slug": slug.a, "figures": [figure]}]}
    blind = open_page("carla", blind=True)
    assert blind.get("/api/disagreements", params=query).status_code == 403


def test_viewed_areas_are_kept_and_checked(client, open_page, slug):
    address = f"/api/slides/{slug.a}"
    body = {"kind": "viewed", "value": "2x2:8A=="}
    assert client.post(f"{address}/remarks", json=body).status_code == 201
    assert client.get(address).json()["viewed"] == "2x2:8A=="
    assert open_page("ben").get(address).json()["viewed"] == ""
    wrong = {"kind": "viewed", "value": "9x9:8A=="}
    assert client.post(f"{address}/remarks", json=wrong).status_code == 422


def test_a_figure_is_called_atypical(client, slug, slides):
    figure = first_mitotic(slides[0])
    address = f"/api/slides/{slug.a}/remarks"

    def said(value, name=figure):
        body = {"kind": "atypical", "figure": name, "value": value}
        return client.post(address, json=body).status_code

    assert said("yes") == 201
    answer = client.get(f"/api/slides/{slug.a}/decisions").json()
    assert answer["atypical"] == {figure: True}
    assert said("perhaps") == 422
    assert said("yes", "") == 422
    assert said("yes", "d1_1_0") == 404
    count = client.get(f"/api/slides/{slug.a}/hotspot?threshold=0").json()
    assert count["atypical"]["called"] == 1
    assert count["atypical"]["known"] == 1
    assert said("no") == 201
    assert client.get(f"/api/slides/{slug.a}/decisions").json()["atypical"] == {figure: False}
