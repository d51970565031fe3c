"""The table of failures: one row for each image, appended."""

from __future__ import annotations

import csv
from pathlib import Path

from metaphase.detection.failures import FAILURES_NAME, FailureTable
from metaphase.detection.inputs import Job


def test_rows_are_appended_and_an_address_is_shown_without_its_query(tmp_path: Path) -> None:
    table = FailureTable(tmp_path / FAILURES_NAME)
    table.add(Job(Path("a,b.png"), "a"), "has\nno pixels")
    table.add(Job(Path("https://host/c.svs?key=secret"), "c"), "is missing")
    with table.path.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["image"] for row in rows] == ["a,b.png", "https://host/c.svs"]
    assert [row["reason"] for row in rows] == ["has no pixels", "is missing"]


def test_an_earlier_run_is_cleared(tmp_path: Path) -> None:
    table = FailureTable(tmp_path / FAILURES_NAME)
    table.clear()
    table.add(Job(Path("a.png"), "a"), "is empty")
    table.clear()
    assert not table.path.exists()
