"""The table of finished images: rows stay whole, whatever ended the run before."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from metaphase.detection.summary import COLUMNS, SUMMARY_NAME, SummaryRow, SummaryTable
from metaphase.errors import OutputError

ROW = SummaryRow("in/a.png", "a", 0.25, 2.0, 3, 0.392, ("First.", "Second\nline."), 1.26)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / SUMMARY_NAME


def test_a_row_is_on_disk_as_soon_as_it_is_added(path: Path) -> None:
    table = SummaryTable(path)
    assert not path.exists()
    table.add(ROW)
    table.add(replace(ROW, name="b", seconds=None, area_mm2=0.0))
    first, second = rows(path)
    assert tuple(first) == COLUMNS
    assert first == {
        "image": "in/a.png",
        "name": "a",
        "mpp": "0.25",
        "area_mm2": "2.0000",
        "figures": "3",
        "figures_per_mm2": "1.500",
        "threshold": "0.392",
        "warnings": "First. Second line.",
        "seconds": "1.3",
    }
    assert (second["figures_per_mm2"], second["seconds"]) == ("", "")


def test_it_ends_in_the_order_of_the_images_with_the_last_row_of_each(path: Path) -> None:
    table = SummaryTable(path)
    for row in (ROW, replace(ROW, name="b"), replace(ROW, figures=4), replace(ROW, name="old")):
        table.add(row)
    assert [row["name"] for row in rows(path)] == ["a", "b", "a", "old"]
    table.finish(["b", "a", "failed"])
    assert [(row["name"], row["figures"]) for row in rows(path)] == [
        ("b", "3"),
        ("a", "4"),
        ("old", "3"),
    ]
    SummaryTable(path).finish([])
    assert len(rows(path)) == 3


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_what_a_kill_left_of_the_last_row_is_dropped(path: Path, cut: int) -> None:
    table = SummaryTable(path)
    table.add(ROW)
    table.add(replace(ROW, image="in/b.png", name="b"))
    path.write_bytes(path.read_bytes()[:-cut])
    again = SummaryTable(path)
    assert [row["name"] for row in rows(path)] == ["a"]
    assert again.has(ROW)
    assert not again.has(replace(ROW, name="b"))


def test_a_row_of_other_results_is_not_the_row(path: Path) -> None:
    table = SummaryTable(path)
    table.add(ROW)
    assert table.has(replace(ROW, seconds=9.0, area_mm2=0.0))
    assert not table.has(replace(ROW, figures=2))
    assert not table.has(replace(ROW, threshold=0.4))
    assert not table.has(replace(ROW, mpp=0.26))
    table.remove("a")
    assert not table.has(ROW)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\x00\x01", "image,name\n"])
def test_another_file_of_that_name_is_replaced(path: Path, text: str) -> None:
    path.write_text(text)
    table = SummaryTable(path)
    table.add(ROW)
    assert [row["name"] for row in rows(path)] == ["a"]


def test_a_folder_of_that_name_is_an_error(path: Path) -> None:
    path.mkdir()
    with pytest.raises(OutputError, match="summary"):
        SummaryTable(path)


def test_names_of_any_kind_are_kept(path: Path) -> None:
    table = SummaryTable(path)
    for name in ("=1+1", "b\udcff", 'quo"te, and comma'):
        table.add(replace(ROW, name=name, image=name))
        assert SummaryTable(path).has(replace(ROW, name=name))
    assert "'=1+1" in path.read_text()
