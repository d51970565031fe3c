"""Deep-zoom tiles and crops of slides, encoded as JPEG and cached."""

from __future__ import annotations

import asyncio
import io
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from metaphase.arrays import Pixels
from metaphase.slides.slide import Slide
from metaphase.viewer.slidecatalogue import CatalogueEntry

TILE_PX = 512
QUALITY = 85
CACHE_BYTES = 256 * 1024 * 1024
MAX_OPEN = 16
CROP_UM, CROP_PX = (5.0, 500.0), (16, 512)


class NoSuchTileError(Exception):
    """The requested tile is outside of the pyramid."""


def levels(slide: Slide) -> int:
    """Return the Deep Zoom level of full resolution; level 0 is a single pixel."""
    return math.ceil(math.log2(max(slide.width_px, slide.height_px, 1)))


def read_tile(slide: Slide, level: int, column: int, row: int) -> Pixels:
    """Return a tile's pixels, uint8 [h, w, 3]; tiles at the right and bottom edge are smaller.

    Raises NoSuchTileError.
    """
    top = levels(slide)
    if not 0 <= level <= top:
        raise NoSuchTileError
    scale = 2.0 ** (top - level)
    width, height = math.ceil(slide.width_px / scale), math.ceil(slide.height_px / scale)
    x, y = column * TILE_PX, row * TILE_PX
    if not (0 <= x < width and 0 <= y < height):
        raise NoSuchTileError
    size = min(TILE_PX, width - x), min(TILE_PX, height - y)
    return slide.read(x * scale, y * scale, *size, slide.mpp * scale)


def read_crop(slide: Slide, x_px: float, y_px: float, side_um: float, side: int) -> Pixels:
    """Return a square crop centred on a point, ``side_um`` wide and ``side`` output pixels."""
    mpp = side_um / side
    half = side_um / slide.mpp / 2
    return slide.read(x_px - half, y_px - half, side, side, mpp)


def jpeg(pixels: Pixels) -> bytes:
    """Encode RGB pixels as JPEG."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()


class SlideHandles:
    """Open slides, of which the most recently used are kept open. Thread-safe."""

    def __init__(self, most: int = MAX_OPEN) -> None:
        self._most = most
        self._slides: OrderedDict[str, Slide] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, entry: CatalogueEntry) -> Slide:
        """Return the open slide, opening it if necessary. Raises SlideError."""
        with self._lock:
            slide = self._slides.get(entry.slug)
            if slide is None:
                slide = self._slides[entry.slug] = entry.open()
            self._slides.move_to_end(entry.slug)
            # Removed slides are not closed here, because another thread may be reading one. A
            # slide closes when its last reference is gone.
            while len(self._slides) > self._most:
                self._slides.popitem(last=False)
            return slide

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            while self._slides:
                self._slides.popitem()[1].close()


class ByteCache:
    """Encoded images, least recently used first out, up to a number of bytes."""

    def __init__(self, most: int = CACHE_BYTES) -> None:
        self._most = most
        self._held = 0
        self._items: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """Return the cached bytes, or None."""
        with self._lock:
            if key not in self._items:
                return None
            self._items.move_to_end(key)
            return self._items[key]

    def put(self, key: str, data: bytes) -> None:
        """Store bytes under a key."""
        with self._lock:
            self._held += len(data) - len(self._items.pop(key, b""))
            self._items[key] = data
            while self._held > self._most and len(self._items) > 1:
                self._held -= len(self._items.popitem(last=False)[1])


class TileRenderer:
    """Renders JPEG tiles and crops in threads; concurrent requests for one share the work."""

    def __init__(self, workers: int | None = None, cache_bytes: int = CACHE_BYTES) -> None:
        self.handles = SlideHandles()
        self._cache = ByteCache(cache_bytes)
        self._threads = ThreadPoolExecutor(workers or max(2, os.cpu_count() or 2), "tiles")
        self._pending: dict[str, asyncio.Future[bytes]] = {}

    async def tile(self, entry: CatalogueEntry, level: int, column: int, row: int) -> bytes:
        """Return a deep-zoom tile. Raises NoSuchTileError or SlideError."""
        key = f"{entry.slug}/{level}/{column}_{row}"
        return await self._render(
            key, lambda: read_tile(self.handles.get(entry), level, column, row)
        )

    async def crop(
        self, entry: CatalogueEntry, x_px: float, y_px: float, side_um: float, side: int
    ) -> bytes:
        """Return a crop; its side in um and px is limited to CROP_UM and CROP_PX."""
        um = min(max(side_um, CROP_UM[0]), CROP_UM[1])
        px = min(max(side, CROP_PX[0]), CROP_PX[1])
        key = f"{entry.slug}/crop/{x_px:.2f}_{y_px:.2f}_{um:g}_{px}"
        return await self._render(
            key, lambda: read_crop(self.handles.get(entry), x_px, y_px, um, px)
        )

    async def _render(self, key: str, read: Callable[[], Pixels]) -> bytes:
        if (cached := self._cache.get(key)) is not None:
            return cached
        if key not in self._pending:
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._threads, self._read_and_encode, key, read)
            self._pending[key] = future
            future.add_done_callback(lambda _: self._pending.pop(key, None))
        # Shielded: a browser tab that closes must not cancel the tile of another.
        return await asyncio.shield(self._pending[key])

    def _read_and_encode(self, key: str, read: Callable[[], Pixels]) -> bytes:
        data = jpeg(read())
        self._cache.put(key, data)
        return data

    def close(self) -> None:
        """Stop the threads and close the files."""
        self._threads.shutdown(cancel_futures=True)
        self.handles.close()
