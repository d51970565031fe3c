"""Patches of 512 px from a region of 7000 x 5000 px, compared with opening OpenSlide for each.

The exercise opened the whole region with OpenSlide for every patch. Synthetic pixels, one process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import openslide
import tifffile

from metaphase.slides.open import open_slide

_WIDTH, _HEIGHT, _PATCH = 7000, 5000, 512
_PATCHES = 20


def rows() -> Iterator[tuple[str, str, str, str]]:
    rng = np.random.default_rng(0)
    corners = [
        (int(rng.integers(_WIDTH - _PATCH)), int(rng.integers(_HEIGHT - _PATCH)))
        for _ in range(_PATCHES)
    ]
    smooth = rng.integers(150, 255, (_HEIGHT // 50, _WIDTH // 50, 3), dtype=np.uint8)
    pixels = np.kron(smooth, np.ones((50, 50, 1), np.uint8))
    with TemporaryDirectory() as folder:
        for compression in (None, "deflate", "lzw"):
            path = Path(folder) / f"{compression}.tiff"
            tifffile.imwrite(
                path, pixels, photometric="rgb", compression=compression, rowsperstrip=8
            )
            ours = _rate(lambda path=path: _with_metaphase(path, corners))
            theirs = _rate(lambda path=path: _reopened(path, corners))
            what = f"{compression or 'plain'} strips"
            against = f"OpenSlide reopened: {theirs:.1f} a second"
            yield what, f"{ours:.0f} a second", against, f"{ours / theirs:.0f}"


def _with_metaphase(path: Path, corners: list[tuple[int, int]]) -> None:
    with open_slide(path, mpp=0.25) as slide:
        for x, y in corners:
            slide.read(x, y, _PATCH, _PATCH)


def _reopened(path: Path, corners: list[tuple[int, int]]) -> None:
    for x, y in corners:
        handle = openslide.open_slide(str(path))
        np.asarray(handle.read_region((x, y), 0, (_PATCH, _PATCH)).convert("RGB"))
        handle.close()


def _rate(read: Callable[[], None]) -> float:
    start = time.perf_counter()
    read()
    return _PATCHES / (time.perf_counter() - start)
