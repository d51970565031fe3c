"""``failures.csv``: the images of a run that failed, and why."""

from __future__ import annotations

from pathlib import Path

from metaphase.csvfile import csv_text
from metaphase.detection.inputs import Job
from metaphase.files import append_text
from metaphase.slides.address import shown

FAILURES_NAME = "failures.csv"


class FailureTable:
    """``failures.csv``: a row for each image that failed in this run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def clear(self) -> None:
        """Remove the file of an earlier run."""
        self.path.unlink(missing_ok=True)

    def add(self, job: Job, reason: str) -> None:
        """Append a row."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        row = shown(job.image), job.name, " ".join(reason.split())
        text = csv_text(("image", "name", "reason"), [row])
        if self.path.exists():
            text = text.partition("\n")[2]
        append_text(self.path, text)
