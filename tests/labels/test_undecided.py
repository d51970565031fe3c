from __future__ import annotations

import pytest

from metaphase.labels.undecided import UNDECIDED_NAME, undecided_by_case


def test_rows_are_counted_by_case(tmp_path):
    (tmp_path / UNDECIDED_NAME).write_text("case,x_px,y_px\na,1,2\nb,1,2\na,3,4\n")
    assert undecided_by_case(tmp_path) == {"a": 2, "b": 1}
    assert undecided_by_case(tmp_path / "figures.csv") == {"a": 2, "b": 1}


@pytest.mark.parametrize("content", [None, b"", b"x\n1\n", b"\xff\xfe", b"case\n\0\n"])
def test_other_files_count_nothing(tmp_path, content):
    if content is not None:
        (tmp_path / UNDECIDED_NAME).write_bytes(content)
    assert len(undecided_by_case(tmp_path)) <= 1
