"""What is published about each MIDOG image, by its number, and is not in the label files.

MIDOG 2021 (Aubreville et al., Med. Image Anal. 2023): images 1 to 50 are from the Hamamatsu XR, 51
to 100 from the S360, 101 to 150 from the Aperio CS2, 151 to 200 from the Leica GT450; the last
fifty have no labels. MIDOG++ (Aubreville et al., Sci. Data 2023) goes on to 553; tumour,
scanner, laboratory and species are those of its ``datasets_xvalidation.csv``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"(\d{3})(?:\.tiff?)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a run of images, first to last number included."""

    first: int
    last: int
    scanner: str
    tumour: str
    species: str
    laboratory: str
    labelled: bool = True


_BREAST = ("human breast cancer", "human", "UMC Utrecht")
_SARCOMA = ("3DHistech", "canine soft tissue sarcoma", "canine")

FACTS: tuple[Facts, ...] = (
    Facts(1, 50, "Hamamatsu XR", *_BREAST),
    Facts(51, 100, "Hamamatsu S360", *_BREAST),
    Facts(101, 150, "Aperio CS2", *_BREAST),
    Facts(151, 200, "Leica GT450", *_BREAST, labelled=False),
    Facts(201, 244, "3DHistech", "canine lung cancer", "canine", "VMU Vienna"),
    Facts(245, 299, "3DHistech", "canine lymphoma", "canine", "VMU Vienna"),
    Facts(300, 349, "Aperio CS2", "canine cutaneous mast cell tumor", "canine", "FU Berlin"),
    Facts(350, 404, "Hamamatsu XR", "human neuroendocrine tumor", "human", "UMC Utrecht"),
    Facts(405, 489, *_SARCOMA, "AMC New York"),
    Facts(490, 504, *_SARCOMA, "VMU Vienna"),
    Facts(505, 553, "Hamamatsu XR", "human melanoma", "human", "UMC Utrecht"),
)


def number_of(file_name: str) -> int | None:
    """Return the number of a MIDOG image, 1 for ``001.tiff``, or None for other names."""
    found = _NAME.fullmatch(file_name)
    return int(found[1]) if found else None


def facts_of(file_name: str) -> Facts | None:
    """Return what is known of a MIDOG image by its name, or None."""
    number = number_of(file_name)
    if number is None:
        return None
    return next((facts for facts in FACTS if facts.first <= number <= facts.last), None)
