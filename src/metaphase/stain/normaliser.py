"""What every stain normalisation returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from metaphase.arrays import Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Normalised:
    """An image, and why it was left unchanged (empty where it was normalised)."""

    image: Pixels
    skip_reason: str = ""


class Normaliser(Protocol):
    """Changes images to the colours of a reference."""

    def __call__(self, image: Pixels) -> Normalised:
        """Return an image [h, w, 3] normalised, or unchanged with the reason."""
