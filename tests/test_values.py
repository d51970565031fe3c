from __future__ import annotations

import math

import pytest

from metaphase.values import (
    MAX_POSITION_PX,
    MAX_SHOWN,
    finite,
    name_of_file,
    position,
    printable_name,
    shown,
)


@pytest.mark.parametrize(
    ("value", "number"),
    [(1, 1.0), (-0.5, -0.5), ("1e3", 1000.0), (" 2 ", 2.0), (10**300, 1e300)],
)
def test_numbers_and_their_text_are_finite(value: object, number: float) -> None:
    assert finite(value) == number


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "x",
        math.nan,
        math.inf,
        "nan",
        "-inf",
        "1_000",
        10**400,
        "9" * 5000,
        [1],
        {},
        b"1",
    ],
)
def test_everything_else_is_no_number(value: object) -> None:
    assert finite(value) is None


def test_long_values_are_cut() -> None:
    assert shown("a") == "'a'"
    assert len(shown("a" * 1000)) == MAX_SHOWN
    assert shown(10**5000) == "a int of very many digits"


def test_positions_are_not_farther_than_any_image() -> None:
    assert position("12.5") == 12.5
    assert position(-MAX_POSITION_PX) == -MAX_POSITION_PX
    assert position(2 * MAX_POSITION_PX) is None
    assert position(1e308) is None
    assert position("x") is None


@pytest.mark.parametrize("name", ["a.png", "a\udcff\udc80.png", "日本", "a\\b", "a\\udc7f"])
def test_names_of_files_are_text_and_back(name: str) -> None:
    text = printable_name(name)
    text.encode("utf-8")
    assert name_of_file(text) == name
