"""``metaphase learn``: start, review, train, status."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from metaphase.cli import reviewserver
from metaphase.cli.learn import app
from metaphase.errors import InputError
from metaphase.figures import Label
from metaphase.learning.loopfolder import LoopFolder
from metaphase.models.modelfile import load_model
from metaphase.viewer.loopslides import loop_slides
from metaphase.viewer.store import Decision, ReviewStore, State
from tests.learning.conftest import begun, dots, loop, model

__all__ = ["begun", "dots", "loop", "model"]


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def test_from_images_to_a_model_with_labels(tmp_path, model, dots):
    out = tmp_path / "loop"
    result = run(
        "start", dots / "images", "--out", out, "--model", model.folder, "--mpp", 0.25,
        "--decisions", 5, "--candidates", 40, "--threads", 1,
    )  # fmt: skip
    assert result.exit_code == 0
    assert "3 images, 5 candidates to review" in result.stdout
    assert "no round yet" in run("status", out).stdout
    result = run("train", out, "--labels", dots / "labels.json")
    assert result.exit_code == 0
    folder = result.stdout.split()[-1]
    assert load_model(folder).card.scores.entries["fine_tuned"]["round"] == 1
    status = json.loads(run("status", out, "--json").stdout)
    assert [one["number"] for one in status["rounds"]] == [1]
    assert status["rounds"][0]["scores"]["f1"]["low"] <= status["rounds"][0]["scores"]["f1"]["high"]


def test_decisions_of_the_page_are_learnt_from(loop):
    store = ReviewStore(loop.store)
    for entry in loop_slides(loop):
        rows = list(entry.columns.index.items())[:6]
        for number, (figure, row) in enumerate(rows):
            state = State.CONFIRMED if number % 2 else State.REJECTED
            x, y = entry.columns.points[row].tolist()
            store.add(Decision(entry.key, figure, state, "anna", Label.MITOTIC, x, y))
    store.close()
    assert "18 decisions" in run("status", loop.path).stdout
    run("train", loop.path)
    assert LoopFolder(loop.path).rounds() == [1]
    with pytest.raises(InputError, match="has 0 decisions"):
        run("train", loop.path, "--reviewer", "ben")


def test_failed_images_are_in_the_exit_code(tmp_path, model):
    (tmp_path / "a.png").write_bytes(b"no image")
    result = run("start", tmp_path / "a.png", "--out", tmp_path / "loop", "-m", model.folder)
    assert result.exit_code == 1
    assert "0 images" in result.stdout


def test_a_wrong_folder_or_depth_is_refused(tmp_path, loop):
    with pytest.raises(InputError, match="learn start"):
        run("status", tmp_path)
    result = run("train", loop.path, "--depth", "deep")
    assert result.exit_code == 2
    assert "head, last or all" in result.output


def test_the_page_is_served_with_the_loop(loop, monkeypatch):
    seen = {}

    def serve(slides, store, serving, **more):
        seen.update(more, slides=len(slides), port=serving.port)

    monkeypatch.setattr(reviewserver, "serve_page", serve)
    assert run("review", loop.path, "--reviewer", "anna", "--port", 0).exit_code == 0
    assert (seen["slides"], seen["reviewer"], seen["port"]) == (3, "anna", 0)
    assert seen["loop"].path == loop.path
