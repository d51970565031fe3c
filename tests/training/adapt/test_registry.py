from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from metaphase.errors import MissingExtraError
from metaphase.training.adapt import methods
from metaphase.training.adapt.base import Method
from metaphase.training.adapt.options import AdaptOptions
from metaphase.training.adapt.registry import (
    find_method,
    method_names,
    read_options,
    register,
    unregister,
)

FILES = {
    path.stem.replace("_", "-")
    for path in Path(str(methods.__file__)).parent.glob("*.py")
    if path.stem != "__init__"
}


class Options(AdaptOptions):
    """Options of a method that only these tests have."""

    sides: tuple[int, ...] = (1, 2)
    depth: int = 3


@pytest.fixture
def mine() -> Iterator[type[Method]]:
    @register
    class Mine(Method):
        """A method of a program."""

        name = "mine"
        Options = Options

    yield Mine
    unregister("mine")


def test_every_file_is_a_method_of_its_name() -> None:
    assert {"adabn", "gradient-reversal", "mean-teacher", "worst-domain"} <= FILES
    assert set(method_names()) >= FILES
    assert method_names() == sorted(method_names())
    for name in FILES:
        method = find_method(name)
        assert method.name == name
        assert issubclass(method.Options, AdaptOptions)
        assert method.__doc__
        assert method.unlabelled in ("needed", "used", "unused")


def test_a_program_can_register_a_method(mine: type[Method]) -> None:
    assert "mine" in method_names()
    assert find_method("mine") is mine
    assert isinstance(read_options({"method": "mine"}), Options)


def test_the_same_name_again_replaces_it(mine: type[Method]) -> None:
    class Other(Method):
        name = "mine"

    assert register(Other) is Other
    assert find_method("mine") is Other
    assert method_names().count("mine") == 1


def test_an_unknown_method_is_told_with_all_that_are_known() -> None:
    with pytest.raises(ValueError, match="no method 'magic'") as caught:
        find_method("magic")
    assert all(name in str(caught.value) for name in FILES)


def test_without_pytorch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    adabn = find_method("adabn")
    unregister("adabn")
    monkeypatch.setitem(sys.modules, adabn.__module__, None)
    try:
        with pytest.raises(MissingExtraError, match=r"metaphase\[train\]"):
            find_method("adabn")
        assert "adabn" in method_names()  # names need no PyTorch
    finally:
        register(adabn)


def test_a_method_can_be_removed(mine: type[Method]) -> None:
    unregister("mine")
    unregister("mine")  # a second time changes nothing
    assert "mine" not in method_names()
    with pytest.raises(ValueError, match="no method 'mine'"):
        find_method("mine")


# --- options


def test_options_are_read_as_toml_gives_them(mine: type[Method]) -> None:
    options = read_options({"method": "mine", "sides": [4, 5], "by": "tumour"})
    assert options == Options(method="mine", sides=(4, 5), by="tumour")
    assert read_options(options) is options


@pytest.mark.parametrize("value", [{}, {"method": 3}, "adabn", [], None, {"by": "scanner"}])
def test_a_table_without_a_method_is_told(value: object) -> None:
    with pytest.raises(ValueError, match="method is missing: one of adabn"):
        read_options(value)


def test_all_problems_are_told_at_once(mine: type[Method]) -> None:
    table = {"method": "mine", "depth": "3", "sides": [1, "2"], "width": 5}
    with pytest.raises(ValueError, match="depth") as caught:
        read_options(table)
    text = str(caught.value)
    assert (
        "width is not a known key, known here: method, by, unlabelled_share, sides, depth" in text
    )
    assert "sides.1: " in text
    assert "depth: " in text
