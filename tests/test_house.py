"""Sizes, circles of imports and the picture of the rooms."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.house.drawing import draw
from tests.house.imports import circles, module_graph, rooms_used
from tests.house.measures import (
    FUNCTION_LINES,
    LONG_MODULES,
    MEDIAN_MODULE_LINES,
    MODULE_LINES,
    MOST_UNTESTED,
    TEST_RATIO,
    Measures,
    measure,
)

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "architecture.svg"


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(module_graph()) == []


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({}, []),
        ({"a": ["b"], "b": ["c"], "c": []}, []),
        ({"a": ["b"], "b": ["a"]}, [["a", "b"]]),
        ({"a": ["b", "d"], "b": ["c"], "c": ["a"], "d": ["c", "e"], "e": []}, [list("abcd")]),
        ({"a": ["b"], "b": ["a", "c"], "c": ["d"], "d": ["c"]}, [["c", "d"], ["a", "b"]]),
    ],
)
def test_circles_are_recognised(graph: dict[str, list[str]], expected: list[list[str]]) -> None:
    assert circles(graph) == expected


def test_modules_and_functions_are_short() -> None:
    measured = measure()
    assert measured.long_modules == []
    assert measured.median_module <= MEDIAN_MODULE_LINES
    assert measured.function_length <= FUNCTION_LINES


def test_few_modules_have_no_test_file_of_their_own() -> None:
    assert len(measure().untested) <= MOST_UNTESTED


def test_tests_are_in_proportion_to_the_source() -> None:
    assert measure().test_ratio >= TEST_RATIO


def test_exceptions_are_still_needed() -> None:
    measured = measure()
    short = [n for n in LONG_MODULES if measured.modules.get(n, 0) <= MODULE_LINES]
    assert short == [], "remove these from LONG_MODULES"


def test_limits_that_do_not_hold_are_reported() -> None:
    functions = {f"a.py:f{n}": 10 for n in range(80)} | {f"a.py:g{n}": 26 for n in range(20)}
    measured = Measures({"a.py": 351, "b.py": 350}, functions, ("b.py",) * 100, 701, 400)
    assert measured.long_modules == ["a.py"]
    assert measured.function_length == 26
    assert len(measured.problems) == 5


def test_the_picture_is_up_to_date() -> None:
    command = "python -m tests.house --draw docs/images/architecture.svg"
    assert PICTURE.read_text(encoding="utf-8") == draw(), f"run: {command}"


def test_the_picture_shows_every_room_and_every_import_between_rooms() -> None:
    tree = ElementTree.fromstring(draw())
    texts = {element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")}
    used = rooms_used()
    assert {f"{room}/" for room in used} <= texts
    cells = [e for e in tree.iter("{http://www.w3.org/2000/svg}rect") if e.get("class") == "used"]
    # One cell for every room's use of the ground floor, and one in the legend.
    assert len(cells) == sum(map(len, used.values())) + len(used) + 1
