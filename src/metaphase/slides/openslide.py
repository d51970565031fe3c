"""Slides of every format that OpenSlide reads."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.arrays import Pixels
from metaphase.errors import InputError, SlideError
from metaphase.slides.mpp import MppHints, Resolution, resolution
from metaphase.slides.ome import described_resolution
from metaphase.slides.pyramid import Level, PyramidSlide, process
from metaphase.slides.slide import WHITE

CACHE_BYTES = 64 << 20
"""Cache of decoded tiles for all OpenSlide slides of a process."""


def vendor_of(path: Path) -> str | None:
    """Return OpenSlide's name of a file's vendor; None if it does not know the file."""
    import openslide

    vendor = openslide.OpenSlide.detect_format(path)
    return None if vendor is None else str(vendor)


class OpenSlideSlide(PyramidSlide):
    """A slide read by OpenSlide, whose handles are thread-safe."""

    def __init__(self, path: Path, hints: MppHints) -> None:
        super().__init__(path, hints)
        self._lock = threading.Lock()
        self._open_in = 0
        self._handle: Any = None
        handle = self._slide()
        try:
            width, height = handle.dimensions
            sizes = handle.level_dimensions
            self._scale = tuple(float(d) for d in handle.level_downsamples)
            properties = {str(k): str(v) for k, v in handle.properties.items()}
        except Exception as error:
            raise _damaged(path, error) from error
        levels = [Level.of(w, h, width, height) for w, h in sizes]
        self._describe(levels, properties, _resolution(properties))

    def _slide(self) -> Any:
        """Return the handle of this process; after a fork the file is opened again."""
        self._check_open()
        if self._open_in != process():
            with self._lock:
                if self._open_in != process():
                    self._handle = _open(self.path)
                    self._open_in = process()
        return self._handle

    def _fetch(
        self, level: int, x: int, y: int, width: int, height: int
    ) -> tuple[Pixels, float, float]:
        handle = self._slide()
        scale = self._scale[level]
        full_x, full_y = round(x * scale), round(y * scale)
        try:
            image = handle.read_region((full_x, full_y), level, (width, height))
        except Exception as error:
            # OpenSlide refuses to read on after an error: the next read gets a new handle.
            self._open_in = 0
            raise _damaged(self.path, error) from error
        # Where a downsample is not whole, OpenSlide's corner lies between two pixels.
        return _over_white(image), full_x / scale, full_y / scale

    def close(self) -> None:
        """Close the file once no thread reads from it any more."""
        super().close()
        self._handle = None  # OpenSlide closes it with its last reference


def _open(path: Path) -> Any:
    import openslide

    try:
        handle = openslide.OpenSlide(path)
        handle.set_cache(_shared_cache(process()))
    except Exception as error:
        raise _damaged(path, error) from error
    return handle


@cache
def _shared_cache(_process: int) -> Any:
    import openslide

    return openslide.OpenSlideCache(CACHE_BYTES)


def _damaged(path: Path, error: Exception) -> InputError:
    return SlideError.of(
        path,
        f"OpenSlide cannot read it: {error}",
        way_out="copy the file again, with all its companion files, or convert it to TIFF",
    )


def _over_white(image: Any) -> Pixels:
    if image.mode != "RGBA" or image.getchannel("A").getextrema()[0] == WHITE:
        return np.asarray(image.convert("RGB"))
    pixels = np.asarray(image)
    alpha = pixels[..., 3:].astype(np.uint16)
    mixed = (pixels[..., :3] * alpha + WHITE * (WHITE - alpha) + WHITE // 2) // WHITE
    return mixed.astype(np.uint8)


def _resolution(properties: dict[str, str]) -> Resolution | None:
    found = resolution(
        properties.get("openslide.mpp-x"), properties.get("openslide.mpp-y"), "openslide.mpp"
    )
    return found or described_resolution(properties.get("tiff.ImageDescription"))
