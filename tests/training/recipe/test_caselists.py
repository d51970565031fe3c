from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.labels.dataset import DOMAINS, Case
from metaphase.training.recipe.caselists import expand_lists, matches

CASE = Case(
    "A00_01",
    scanner="Aperio CS2",
    tumour="breast",
    group="A00",
    species="human",
    laboratory="UMC",
)
NAMES = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8)


@pytest.mark.parametrize(
    "pattern",
    ["A00_01", "A00_*", "*", "A0[0-3]_??", "scanner:Aperio*", "group:A00", "tumour:breast"],
)
def test_a_case_is_meant_by_id_pattern_or_domain(pattern: str) -> None:
    assert matches(CASE, pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "A00",
        "a00_01",
        "A0[1-3]_??",
        "scanner:aperio*",
        "scanner:Aperio",
        "tumour:lung",
        "",
        "g:A00",
    ],
)
def test_upper_case_and_the_whole_name_count(pattern: str) -> None:
    assert not matches(CASE, pattern)


@given(NAMES, st.sampled_from(DOMAINS))
def test_every_domain_can_be_named(value: str, by: str) -> None:
    case = Case("c", **{by: value})  # type: ignore[arg-type]
    assert matches(case, f"{by}:{value}")
    assert matches(case, f"{by}:{value[0]}*")
    assert not matches(case, f"{by}:{value}x")


def test_a_case_without_a_scanner_is_of_an_unknown_one() -> None:
    assert matches(Case("c"), "scanner:unknown")
    assert matches(Case("c"), "group:c")  # each is its own group


def test_an_id_may_hold_a_colon() -> None:
    """Only the names of domains stand before a colon; any other word is part of the id."""
    assert matches(Case("slide:7"), "slide:7")
    assert matches(Case("slide:7"), "slide:*")


# --- files of patterns


def test_a_list_is_replaced_by_its_lines(tmp_path: Path) -> None:
    text = "# those that were checked\nA00_*\n\n  scanner:Aperio CS2  \n#B00\nC01\n"
    (tmp_path / "list.txt").write_text(text)
    expanded = expand_lists(["first", "@list.txt", "last"], tmp_path)
    assert expanded == ("first", "A00_*", "scanner:Aperio CS2", "C01", "last")


@given(st.lists(NAMES, max_size=5))
def test_patterns_stay_in_order_and_need_no_file(patterns: list[str]) -> None:
    assert expand_lists(patterns, "/nowhere") == tuple(patterns)


def test_a_list_is_looked_for_in_the_folder_or_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    path = tmp_path / "sub" / "list.txt"
    path.write_bytes("\ufeffÄ1\r\nB2\r\n".encode())  # as Windows' editors write it
    assert expand_lists(["@sub/list.txt"], tmp_path) == ("Ä1", "B2")
    assert expand_lists([f"@{path}"], "/elsewhere") == ("Ä1", "B2")


def test_a_list_within_a_list_is_a_case(tmp_path: Path) -> None:
    """Lists do not nest: that could go round in circles."""
    (tmp_path / "list.txt").write_text("@list.txt\n")
    assert expand_lists(["@list.txt"], tmp_path) == ("@list.txt",)


def test_a_list_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read") as caught:
        expand_lists(["@absent.txt"], tmp_path)
    assert str(tmp_path / "absent.txt") in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_a_list_that_names_nothing_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "empty.txt").write_text(text)
    with pytest.raises(ValueError, match="names nothing: one pattern a line"):
        expand_lists(["@empty.txt"], tmp_path)


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(ValueError, match="cannot be read"):
        expand_lists(["@image.png"], tmp_path)
