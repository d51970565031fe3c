"""Killed at random moments, work ends with the same files (``python -m tests.kill`` for many)."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from tests.kill import kill_detect, kill_store, kill_train, main

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")


@pytest.mark.slow
def test_detection_is_killed_and_resumed(tmp_path: Path) -> None:
    hits, states = kill_detect(6, 1, tmp_path)
    # How many of the kills hit the work, and in what state, depends on the speed of the machine.
    assert hits >= 1
    assert states


@pytest.mark.slow
def test_training_is_killed_and_resumed(tmp_path: Path) -> None:
    hits, states = kill_train(8, 1, tmp_path)
    assert hits >= 1
    assert states


def test_the_writer_of_a_review_is_killed_at_50_moments(tmp_path: Path) -> None:
    hits, _ = kill_store(50, 7, tmp_path)
    assert hits == 50


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["store", "--times", "2"])
    assert capsys.readouterr().out.startswith("2 kills in 2 runs")
