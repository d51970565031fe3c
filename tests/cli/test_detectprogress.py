"""What ``metaphase detect`` prints while it works and at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.cli import detectprogress
from metaphase.cli.detectprogress import outcome_line, show_progress, summary_line
from metaphase.detection.batch import Outcome
from metaphase.detection.inputs import Job

JOB = Job(Path("a.png"), "a")
DONE = Outcome(JOB, "done", figures=1, area_mm2=0.5, seconds=2.0, notes=("look at it",))
SKIPPED = Outcome(JOB, "skipped", figures=2)
FAILED = Outcome(JOB, "failed", "is no image")


def test_lines() -> None:
    assert outcome_line(DONE) == "a: 1 mitotic figure in 0.50 mm2, 2.0 s"
    assert outcome_line(SKIPPED) == "a: 2 mitotic figures (finished before)"
    assert outcome_line(FAILED) == "a: failed: is no image"
    assert summary_line([DONE, SKIPPED, FAILED]) == "3 images: 1 done, 1 finished before, 1 failed"
    assert summary_line([DONE]) == "1 image: 1 done"


def test_quiet_prints_failures_alone(capsys: pytest.CaptureFixture) -> None:
    with show_progress(2, quiet=True) as events:
        for outcome in (DONE, FAILED):
            events.started(outcome.job)
            events.finished(outcome)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", outcome_line(FAILED) + "\n")


@pytest.mark.parametrize("together", [False, True])
def test_without_a_terminal_there_are_lines(
    together: bool, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detectprogress, "LOG_EVERY_S", -1.0)
    with show_progress(2, together=together) as events:
        for outcome in (DONE, FAILED):
            events.started(outcome.job)
            events.progress(0.25, 0.5)
            events.finished(outcome)
    shown = capsys.readouterr()
    assert shown.out == outcome_line(DONE) + "\n"
    assert "note: look at it" in shown.err
    assert outcome_line(FAILED) in shown.err
    title = "0/2 images" if together else "1/2 a"
    assert f"{title}: 0.25 of 0.50 mm2" in shown.err
