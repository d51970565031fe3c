"""Rows of a table: which cases they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.errors import LabelError
from metaphase.labels.formats.tablerows import CASE, POINT, UM, TableRows


def rows(tmp_path: Path, text: str) -> TableRows:
    (tmp_path / "t.csv").write_text(text)
    return TableRows(tmp_path / "t.csv")


def test_each_name_is_one_case_in_the_order_of_the_rows(tmp_path: Path) -> None:
    table = rows(tmp_path, "case,x_px,y_px\nb.png,1,2\na,1,2\nb,3,4\n,5,6\n")
    assert [(case.id, str(case.image)) for case in table.cases()] == [("b", "b"), ("a", "a")]
    assert table.has(POINT)
    assert not table.has(UM)


def test_images_of_one_name_get_ids_with_their_folder(tmp_path: Path) -> None:
    table = rows(tmp_path, "image,x_px,y_px\np/1.png,1,2\nq/1.png,1,2\np/1.png,3,4\n")
    assert [case.id for case in table.cases()] == ["p/1", "q/1"]
    assert [table.named(row, CASE)[1] for _, row in table] == ["p/1", "q/1", "p/1"]


def test_rows_are_read_anew_each_time(tmp_path: Path) -> None:
    table = rows(tmp_path, "case;x_px;y_px\na;1,5;2\n")
    assert (
        list(table) == list(table) == [("t.csv line 2", {"case": "a", "x_px": "1.5", "y_px": "2"})]
    )


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="two columns called x_px"):
        rows(tmp_path, "x_px,X_PX\n1,2\n")
