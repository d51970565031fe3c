from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.labels.formats.fields import flag, length_px, number, resolution_um, share
from metaphase.labels.labelfile import LabelFile


@pytest.fixture
def file() -> LabelFile:
    return LabelFile(Path("a.json"), "coco")


@pytest.mark.parametrize("value", ["x", float("nan"), 10**400, [1], True, "9" * 5000])
def test_what_is_no_number_is_a_problem(file: LabelFile, value: object) -> None:
    assert number(file, "r", "x", value) is None
    assert len(file.problems) == 1
    assert len(str(file.problems[0])) < 150


def test_no_value_is_no_problem(file: LabelFile) -> None:
    for value in (None, "", " "):
        assert number(file, "r", "x", value) is None
        assert length_px(file, "r", "x", value) is None
    assert flag(file, "r", "x", None) is None
    assert file.problems == []


def test_lengths_resolutions_flags_and_shares(file: LabelFile) -> None:
    assert length_px(file, "r", "width", "1000") == 1000
    assert resolution_um(file, "r", [0.25, 0.25]) == 0.25
    assert [flag(file, "r", "labelled", word) for word in ("Yes", 0, "false")] == [
        True,
        *[False] * 2,
    ]
    assert share(file, "r", "confidence", 0.65) == 0.65
    assert file.problems == []
    for bad in (0, 1.5, -3, 1e300):
        assert length_px(file, "r", "width", bad) is None
    assert resolution_um(file, "r", 1000) is None
    assert flag(file, "r", "labelled", [1]) is None
    assert share(file, "r", "confidence", 1.5) is None
    assert len(file.problems) == 7
