"""The interface of all images: pixels at any place and resolution."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from metaphase.arrays import Pixels

WHITE = 255


def grey_note(path: Path) -> str:
    """Return the note on an image of one channel; models and the tissue search need colours."""
    return (
        f"{path.name}: is a grey image of one channel, without the colours of haematoxylin and "
        "eosin: export it as 8-bit RGB"
    )


class Slide(ABC):
    """An image that can be read anywhere, at any resolution, from any thread.

    Attributes: ``path``; ``width_px, height_px`` at full resolution; ``mpp`` (um/px) and
    ``mpp_source`` ("file", "labels", "scanner" or "user"); ``properties`` (vendor tags as text);
    ``notes`` (sentences for the user, for instance about tags that disagree);
    ``level_downsamples`` (1.0 and those of the file's smaller copies); ``remote_id`` (a hash of
    address, size and version for a slide that is read from a server in parts, else "").

    Slides can be pickled: the other process opens its own file.
    """

    path: Path
    width_px: int
    height_px: int
    mpp: float
    mpp_source: str
    properties: Mapping[str, str]
    notes: tuple[str, ...] = ()
    level_downsamples: tuple[float, ...] = (1.0,)
    remote_id: str = ""

    @abstractmethod
    def read(
        self, x_px: float, y_px: float, width: int, height: int, mpp: float | None = None
    ) -> Pixels:
        """Return RGB pixels, uint8 [height, width, 3], of a region at ``mpp`` (None: the slide's).

        ``x_px, y_px`` is the region's top-left corner in full-resolution pixels and may be
        fractional or negative; ``width, height`` are output pixels, so the region covers
        ``width * mpp / slide.mpp`` full-resolution pixels. Pixels outside the image are white.
        Thread-safe. Raises SlideError where the file is damaged.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file. Further reads raise SlideError."""

    def thumbnail(self, longest_px: int = 1024) -> Pixels:
        """Return the whole slide, uint8 [h, w, 3], its longer side at most ``longest_px``."""
        ratio = max(1.0, max(self.width_px, self.height_px) / longest_px)
        width = max(1, round(self.width_px / ratio))
        height = max(1, round(self.height_px / ratio))
        return self.read(0, 0, width, height, self.mpp * ratio)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        size = f"{self.width_px} x {self.height_px} px"
        return f"{type(self).__name__}({self.path.name!r}, {size}, {self.mpp:.4g} um/px)"
