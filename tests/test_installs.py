"""The checks of distributions: what must be in a wheel, and which versions are the oldest."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.dependencies import direct_requirements
from tests.installs import BASE_EXTRAS, COMMANDS, IN_WHEEL, check_contents, find_python, pinned
from tests.test_documents import problem_of


def test_a_wheel_without_a_file_or_with_tests_is_refused() -> None:
    wheel = Path("metaphase-0.1.0-py3-none-any.whl")
    check_contents(wheel, IN_WHEEL)
    with pytest.raises(SystemExit, match=r"lacks \['metaphase/py.typed'\]"):
        check_contents(wheel, [name for name in IN_WHEEL if name != "metaphase/py.typed"])
    with pytest.raises(SystemExit, match="should not hold"):
        check_contents(wheel, [*IN_WHEEL, "tests/test_files.py"])


def test_the_oldest_version_is_the_lower_bound() -> None:
    assert pinned(Requirement("numpy>=1.26,<3")) == "numpy==1.26.*"
    assert len([pinned(r) for r in direct_requirements(BASE_EXTRAS)]) > 15


def test_this_python_is_found_and_a_future_one_is_not() -> None:
    assert find_python("3.99") is None


def test_the_commands_that_are_tried_exist() -> None:
    assert [problem_of(f"metaphase {command}") for command in COMMANDS] == [None] * len(COMMANDS)
