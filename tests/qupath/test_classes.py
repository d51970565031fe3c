"""Names and colours of classes in QuPath: what is written is read back as the same label."""

from __future__ import annotations

import pytest

from metaphase.classnames import label_of
from metaphase.figures import LABELS, Label
from metaphase.qupath.classes import (
    CLASS_HINT,
    CLASS_NAMES,
    COLOURS,
    HOTSPOT_CLASS,
    HOTSPOT_COLOUR,
    is_ignored,
)


@pytest.mark.parametrize("label", LABELS)
def test_a_written_class_is_read_as_its_label(label: Label) -> None:
    assert label_of(CLASS_NAMES[label]) is label
    assert not is_ignored(CLASS_NAMES[label])
    assert CLASS_NAMES[label] in CLASS_HINT


def test_colours_differ_and_are_rgb() -> None:
    assert set(COLOURS) == set(LABELS)
    colours = [*COLOURS.values(), HOTSPOT_COLOUR]
    assert len(set(colours)) == len(colours)
    assert all(len(colour) == 3 and min(colour) >= 0 and max(colour) <= 255 for colour in colours)


def test_a_hotspot_is_not_read_as_a_figure() -> None:
    assert is_ignored(HOTSPOT_CLASS)


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("Ignore*", True),
        ("Region*", True),
        ("*", True),
        ("Mitosis", False),
        ("*x", False),
        ("", False),
    ],
)
def test_classes_that_end_in_a_star_are_ignored(name: str, ignored: bool) -> None:
    assert is_ignored(name) is ignored
