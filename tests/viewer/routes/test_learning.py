"""The routes of a learning loop."""

from __future__ import annotations

import time

import pytest
from fastapi.testclient import TestClient

from metaphase.viewer import retraining as module
from metaphase.viewer.app import create_app
from metaphase.viewer.loopslides import loop_slides
from tests.viewer.conftest import TOKEN, found
from tests.viewer.looppages import finish_round, make_loop


@pytest.fixture
def loop(tmp_path, slides):
    return make_loop(tmp_path / "loop", slides, {"a": found("a.png"), "b": found("b.png", 4)})


@pytest.fixture
def page(loop, store, page_built):
    app = create_app(loop_slides(loop), store, reviewer="anna", token=TOKEN, loop=loop)
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield client


def wait(page):
    for _ in range(3000):
        answer = page.get("/api/learning").json()
        if answer["state"] != "running":
            return answer
        time.sleep(0.01)
    raise AssertionError("still running")


def test_other_pages_have_no_loop(client):
    assert client.get("/api/session").json()["learning"] is False
    assert client.get("/api/learning").status_code == 404
    assert client.post("/api/learning/train", json={}).status_code == 404


def test_the_proposals_are_figures_of_the_slides(page):
    assert page.get("/api/session").json()["learning"] is True
    proposed = page.get("/api/learning/proposed").json()["slides"]
    slides = {entry["slug"]: entry for entry in page.get("/api/slides").json()}
    assert [slides[one["slug"]]["name"] for one in proposed] == ["b", "a"]
    assert all(figure.startswith("d") for one in proposed for figure in one["figures"])


def test_after_a_training_the_slides_have_the_new_scores(page, loop, monkeypatch):
    def train(folder, reviews, options, progress):
        from metaphase.detectionfile import save_detections

        save_detections(found("a.png", 20, threshold=0.25), folder.detections / "a")
        finish_round(folder)

    monkeypatch.setattr(module, "train_round", train)
    assert page.post("/api/learning/train", json={"depth": "head"}).status_code == 202
    answer = wait(page)
    assert answer["state"] == "finished"
    assert answer["rounds"][0]["decisions"] == 12
    thresholds = {one["name"]: one["threshold"] for one in page.get("/api/slides").json()}
    assert thresholds == {"a": 0.25, "b": 0.5}


def test_too_few_decisions_are_said(page):
    page.post("/api/learning/train", json={})
    answer = wait(page)
    assert answer["state"] == "failed"
    assert answer["what"]


def test_requests_are_checked_as_everywhere(page):
    assert page.post("/api/learning/train", json={"depth": "deep"}).status_code == 422
    assert page.post("/api/learning/train", json={"more": 1}).status_code == 422
    foreign = {"Origin": "http://evil.example"}
    assert page.post("/api/learning/train", json={}, headers=foreign).status_code == 403
    page.headers.pop("Authorization")
    assert page.post("/api/learning/train", json={}).status_code == 401
    assert page.get("/api/learning").status_code == 401


def test_cancelling_nothing_is_harmless(page):
    assert page.post("/api/learning/cancel").status_code == 202
    assert page.get("/api/learning").json()["state"] == "idle"
