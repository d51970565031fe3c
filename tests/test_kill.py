"""Killed at random moments, a run ends with the same files (``python -m tests.kill`` for many)."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from tests.kill import kill_detect


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_detection_is_killed_and_resumed(tmp_path: Path) -> None:
    hits, states = kill_detect(12, 1, tmp_path)
    # How many of the kills hit the work, and in what state, depends on the speed of the machine.
    assert hits >= 1
    assert states
