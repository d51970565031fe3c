from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import RecipeError
from metaphase.training.recipe.overrides import override


def changed(data: dict, *changes: str) -> dict:
    override(data, changes)
    return data


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("a.b=1", {"a": {"b": 1}}),
        ("a.b=1.0", {"a": {"b": 1.0}}),
        ("a.b=true", {"a": {"b": True}}),
        ("a.b=word", {"a": {"b": "word"}}),
        ("a.b=two words ", {"a": {"b": "two words"}}),
        ('a.b="1"', {"a": {"b": "1"}}),
        ("a.b=[1, 2]", {"a": {"b": [1, 2]}}),
        ("a.b={c = 1}", {"a": {"b": {"c": 1}}}),
        ("a.b=x=y", {"a": {"b": "x=y"}}),
        (" a . b =1", {"a": {"b": 1}}),
        ("a.b=1\nc=2", {"a": {"b": "1\nc=2"}}),  # one value, not a second line of TOML
    ],
)
def test_values_are_toml_or_words(change, expected):
    assert changed({}, change) == expected


def test_items_of_lists_are_counted():
    assert changed({"a": [{"b": 1}, {"b": 2}]}, "a.1.b=3") == {"a": [{"b": 1}, {"b": 3}]}
    assert changed({"a": [1, 2]}, "a.0=7") == {"a": [7, 2]}


def test_every_change_that_is_not_possible_is_told():
    with pytest.raises(RecipeError) as caught:
        override({"a": 1, "l": [1]}, ["a", "=1", "a..b=1", "a.b=1", "l.5=1", "l.x=1", "n=1"])
    assert [p.record for p in caught.value.problems] == [
        *("a", "=1", "a..b=1", "a.b=1", "l.5=1", "l.x=1")
    ]


@given(st.text(), st.text())
def test_any_text_is_set_or_refused(path, text):
    data = {"a": {"b": 1}}
    with contextlib.suppress(RecipeError):  # and no other error
        override(data, [f"{path}={text}"])
    assert isinstance(data, dict)


@pytest.mark.parametrize("text", ["1" * 5000, "[" * 10_000, "{a=" * 10_000])
def test_numbers_and_nesting_without_end_are_words(text):
    assert changed({}, f"a={text}") == {"a": text}
