"""Names and colours of the labels as QuPath classifications."""

from __future__ import annotations

from metaphase.figures import LABELS, Label

CLASS_NAMES: dict[Label, str] = {
    Label.MITOTIC: "Mitotic figure",
    Label.HARD_NEGATIVE: "Hard negative",
}

COLOURS: dict[Label, tuple[int, int, int]] = {
    Label.MITOTIC: (0, 200, 83),
    Label.HARD_NEGATIVE: (41, 121, 255),
}
"""RGB of each label, in QuPath and in pictures: both stand out against haematoxylin and eosin."""

ATYPICAL_CLASS = f"{CLASS_NAMES[Label.MITOTIC]}: Atypical"
"""QuPath's name of a subclass: QuPath shows it under "Mitotic figure"."""
ATYPICAL_COLOUR = (255, 234, 0)

HOTSPOT_CLASS = "Hotspot*"
HOTSPOT_COLOUR = (255, 171, 0)

CLASS_HINT = (
    f"classify it as {' or '.join(CLASS_NAMES[label] for label in LABELS)}; "
    "a class that ends in * is left out"
)


def is_ignored(class_name: str) -> bool:
    """Return whether QuPath, and reading here, leaves a class out: one that ends in ``*``."""
    return class_name.endswith("*")
