"""PNG, JPEG, BMP and WebP: decoded once, at the first read, and kept in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.arrays import Pixels
from metaphase.errors import InputError, SlideError
from metaphase.files import open_regular
from metaphase.slides.mpp import MppHints, Resolution, from_density
from metaphase.slides.pyramid import Level, PyramidSlide
from metaphase.slides.slide import WHITE, grey_note

MAX_PIXELS = 500_000_000
"""1.5 GB in memory. Larger images have to be tiled."""

_EIGHT_BIT = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}
_GREY = {"1", "L", "LA"}
_EXIF_ORIENTATION = 0x0112
_WAY_OUT = "copy or export the file again"


def raster_kind(head: bytes) -> str | None:
    """Return the format of an image that begins with these bytes (at least 12)."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"BM"):
        return "BMP"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    return None


class RasterSlide(PyramidSlide):
    """An image of one level, in memory from the first read until it is closed."""

    def __init__(self, path: Path, hints: MppHints) -> None:
        super().__init__(path, hints)
        self._lock = threading.Lock()
        self._pixels: Pixels | None = None
        with _opened(path) as image:
            width, height = image.size
            _check_supported(path, image)
            notes = _notes(path, image)
            tags = _resolution(image)
            properties = {"format": str(image.format), "mode": image.mode}
        self._describe([Level(width, height, 1.0, 1.0)], properties, tags, notes)

    def _fetch(
        self, level: int, x: int, y: int, width: int, height: int
    ) -> tuple[Pixels, float, float]:
        self._check_open()
        pixels = self._pixels
        if pixels is None:
            with self._lock:
                pixels = self._pixels
                if pixels is None:
                    pixels = self._pixels = self._decode()
        return pixels[y : y + height, x : x + width].copy(), x, y

    def _decode(self) -> Pixels:
        try:
            with _opened(self.path) as image:
                return rgb(image)
        except SlideError:
            raise
        except Exception as error:  # decoders raise any kind of error on damaged files
            raise _damaged(self.path, error) from error

    def close(self) -> None:
        """Close the file and release its memory."""
        super().close()
        self._pixels = None


def rgb(image: Any) -> Pixels:
    """Return the pixels of a PIL image of 8 bits a sample, transparent pixels over white."""
    from PIL import Image

    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, (WHITE, WHITE, WHITE, WHITE))
        image = Image.alpha_composite(paper, image)
    return np.asarray(image.convert("RGB"))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an image without Pillow's limit of pixels; ``MAX_PIXELS`` replaces it.

    Pillow gets a stream: given a name it would map some files into memory, and a file that is cut
    short while it is mapped ends the process.
    """
    from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    plugins: dict[str, Any] = {
        "PNG": PngImagePlugin.PngImageFile,
        "JPEG": JpegImagePlugin.JpegImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
    }
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(open_regular(path))
            kind = raster_kind(stream.read(12))
            if kind is None:
                raise ValueError("not a PNG, JPEG, BMP or WebP file")
            stream.seek(0)
            image = plugins[kind](stream)
        except Exception as error:  # decoders raise any kind of error on damaged files
            raise _damaged(path, error) from error
        yield image


def _check_supported(path: Path, image: Any) -> None:
    width, height = image.size
    if image.mode not in _EIGHT_BIT or _is_deep_png(path):
        raise SlideError.of(path, "has more than 8 bits a sample", way_out="export it as 8-bit RGB")
    if width * height > MAX_PIXELS:
        raise SlideError.of(
            path,
            f"{width} x {height} px are too many for a file that can only be decoded whole",
            way_out="convert it to a tiled TIFF",
        )


def _is_deep_png(path: Path) -> bool:
    """Whether a PNG has 16 bits a sample, which Pillow reduces to 8 without a warning."""
    with open_regular(path) as stream:
        head = stream.read(25)
    return raster_kind(head) == "PNG" and head[24] > 8


def _notes(path: Path, image: Any) -> list[str]:
    try:
        rotated = image.getexif().get(_EXIF_ORIENTATION, 1) not in (0, 1)
    except Exception:  # a damaged EXIF block
        rotated = False
    notes = [grey_note(path)] if image.mode in _GREY else []
    if rotated:
        notes.append(
            f"{path.name}: its EXIF orientation is ignored; positions are those of stored pixels"
        )
    return notes


def _resolution(image: Any) -> Resolution | None:
    dpi = image.info.get("dpi")
    try:
        return None if dpi is None else from_density(float(dpi[0]), float(dpi[1]), 2, "density")
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None


def _damaged(path: Path, error: Exception) -> InputError:
    if isinstance(error, OSError) and error.strerror:
        return SlideError.of(path, f"cannot be read: {error.strerror}")
    message = f"is damaged: {error}"
    return SlideError.of(path, message, way_out=_WAY_OUT)
