"""The published facts of MIDOG images by their number."""

from __future__ import annotations

import pytest

from metaphase.labels.formats.midogfacts import FACTS, facts_of, number_of


def test_facts_do_not_overlap_and_leave_no_gap() -> None:
    numbers = [n for facts in FACTS for n in range(facts.first, facts.last + 1)]
    assert numbers == list(range(1, 554))
    assert [n for n in numbers if not (facts_of(f"{n:03d}") or FACTS[0]).labelled] == list(
        range(151, 201)
    )


@pytest.mark.parametrize(
    ("name", "number"),
    [("001.tiff", 1), ("553.tif", 553), ("001", 1), ("A001.tiff", None), ("1.tiff", None)],
)
def test_numbers_of_names(name: str, number: int | None) -> None:
    assert number_of(name) == number


@pytest.mark.parametrize(
    ("name", "scanner", "tumour"),
    [
        ("050.tiff", "Hamamatsu XR", "human breast cancer"),
        ("051.tiff", "Hamamatsu S360", "human breast cancer"),
        ("150.TIF", "Aperio CS2", "human breast cancer"),
        ("200", "Leica GT450", "human breast cancer"),
        ("300.tiff", "Aperio CS2", "canine cutaneous mast cell tumor"),
        ("489.tiff", "3DHistech", "canine soft tissue sarcoma"),
        ("553.tiff", "Hamamatsu XR", "human melanoma"),
    ],
)
def test_scanner_and_tumour_of_an_image(name: str, scanner: str, tumour: str) -> None:
    facts = facts_of(name)
    assert facts is not None
    assert (facts.scanner, facts.tumour) == (scanner, tumour)


@pytest.mark.parametrize(
    "name", ["000.tiff", "554.tiff", "999", "case.tiff", "0001.tiff", "001.png"]
)
def test_nothing_is_known_of_other_images(name: str) -> None:
    assert facts_of(name) is None


def test_one_tumour_was_scanned_in_two_laboratories() -> None:
    sarcoma = [facts for facts in FACTS if facts.tumour == "canine soft tissue sarcoma"]
    assert [facts.laboratory for facts in sarcoma] == ["AMC New York", "VMU Vienna"]
    assert {facts.species for facts in sarcoma} == {"canine"}
