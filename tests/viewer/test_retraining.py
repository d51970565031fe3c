"""One training at a time, in the background, that can be cancelled and may fail."""

from __future__ import annotations

import threading
import time

import pytest

from metaphase.errors import InputError
from metaphase.viewer import retraining as module
from metaphase.viewer.retraining import Retraining

from .conftest import found
from .looppages import finish_round, make_loop


@pytest.fixture
def loop(tmp_path, slides):
    return make_loop(tmp_path / "loop", slides, {"a": found("a.png"), "b": found("b.png", 4)})


class Training:
    """Stands in for ``train_round``: goes on step by step as a test says."""

    def __init__(self):
        self.go, self.inside, self.seen = threading.Event(), threading.Event(), []
        self.error = None

    def __call__(self, loop, reviews, options, progress):
        self.seen.append((reviews, options.depth))
        progress("fitting", 0.3)
        self.inside.set()
        assert self.go.wait(30)
        if self.error:
            raise self.error
        progress("scoring", 0.5)
        finish_round(loop, len(loop.rounds()) + 1)


@pytest.fixture
def training(monkeypatch):
    stand_in = Training()
    monkeypatch.setattr(module, "train_round", stand_in)
    return stand_in


@pytest.fixture
def retraining(loop, training):
    finished = []
    made = Retraining(loop, lambda: ["reviews"], lambda: finished.append(1))
    made.shown = finished
    yield made
    training.go.set()
    made.close()


def wait(retraining):
    limit = time.monotonic() + 30
    while retraining.progress.state == "running":
        assert time.monotonic() < limit
        time.sleep(0.01)
    return retraining.progress


def test_a_round_is_trained_and_shown(retraining, training):
    assert retraining.progress.state == "idle"
    assert retraining.start("last")
    assert training.inside.wait(30)
    assert retraining.to_json()["what"] == "fitting"
    assert not retraining.start()  # one at a time
    training.go.set()
    assert wait(retraining).state == "finished"
    assert training.seen == [(["reviews"], "last")]
    assert retraining.shown == [1]
    assert [one["number"] for one in retraining.to_json()["rounds"]] == [1]


def test_it_is_cancelled_and_begins_again(retraining, training):
    retraining.start()
    assert training.inside.wait(30)
    retraining.cancel()
    training.go.set()
    assert wait(retraining).state == "cancelled"
    assert retraining.shown == []
    assert retraining.to_json()["rounds"] == []
    assert retraining.start()
    assert wait(retraining).state == "finished"


@pytest.mark.parametrize(
    ("error", "text"),
    [(InputError.of("loop", "has 3 decisions"), "has 3 decisions"), (KeyError("x"), "KeyError")],
)
def test_an_error_is_shown(retraining, training, error, text):
    training.error = error
    training.go.set()
    retraining.start()
    progress = wait(retraining)
    assert progress.state == "failed"
    assert text in progress.what
    assert retraining.shown == []
