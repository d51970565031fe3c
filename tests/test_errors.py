from __future__ import annotations

import inspect

import pytest

from metaphase import errors
from metaphase.errors import (
    MAX_PROBLEMS_SHOWN,
    InputError,
    InterruptedRunError,
    LabelError,
    MetaphaseError,
    MissingExtraError,
    Problem,
    SlideError,
    UnknownMppError,
)


def test_a_problem_says_file_record_what_and_way_out() -> None:
    problem = Problem("a.json", "annotation 3", "has no area", "put it right")
    assert str(problem) == "a.json: annotation 3: has no area (put it right)"


def test_a_problem_without_record_or_way_out_leaves_them_out() -> None:
    assert str(Problem("a.json", "", "is empty")) == "a.json: is empty"


def test_one_problem_is_told_in_one_line() -> None:
    error = LabelError.of("a.json", "is empty", way_out="name another")
    assert isinstance(error, LabelError)
    assert str(error) == "a.json: is empty (name another)"
    assert "\n" not in str(error)


def test_many_problems_are_told_together_and_all_kept() -> None:
    n = MAX_PROBLEMS_SHOWN + 5
    error = InputError(Problem("a", f"row {i}", "is wrong") for i in range(n))
    assert len(error.problems) == n
    assert str(error).startswith(f"{n} problems:\n  - a: row 0: is wrong")
    assert str(error).endswith("... and 5 more")
    assert f"row {MAX_PROBLEMS_SHOWN - 1}:" in str(error)
    assert f"row {MAX_PROBLEMS_SHOWN}:" not in str(error)


def test_as_many_as_are_shown_hide_none() -> None:
    error = InputError(Problem("a", str(i), "is wrong") for i in range(MAX_PROBLEMS_SHOWN))
    assert "more" not in str(error)


def test_every_error_is_in_the_one_tree() -> None:
    found = [
        cls
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, BaseException)
        and not issubclass(cls, Warning)
        and cls.__module__ == errors.__name__
    ]
    assert len(found) >= 10
    assert all(issubclass(cls, MetaphaseError) for cls in found)
    for cls in found:
        assert errors.__doc__ is not None
        assert cls.__name__ in errors.__doc__, "the tree at the top of the file shows every error"


def test_unknown_mpp_can_be_caught_as_a_slide_error() -> None:
    with pytest.raises(SlideError, match="--mpp"):
        raise UnknownMppError.of("a.tif", "unknown", way_out="give --mpp")


def test_exit_codes() -> None:
    assert InputError.exit_code == 2
    assert InterruptedRunError.exit_code == 130


def test_a_missing_extra_says_how_to_install_it() -> None:
    error = MissingExtraError("train", "training")
    assert str(error) == "training needs an extra: pip install 'metaphase[train]'"
    assert error.extra == "train"
