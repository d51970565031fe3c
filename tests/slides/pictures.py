"""Pictures with known contents, and files of them in every dress."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from hypothesis import settings
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from metaphase.arrays import Pixels
from metaphase.stain.opticaldensity import NORMALISATION

MPP = 0.25

calm = settings(deadline=None, max_examples=40)
"""For tests of geometry, on machines that have other things to do."""


def noise(width: int, height: int, seed: int = 0) -> Pixels:
    """Smooth blobs in colour with a little noise, so that every shift shows."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 6 + 2, width // 6 + 2, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return np.clip(smooth + rng.integers(-6, 7, smooth.shape), 0, 255).astype(np.uint8)


STAINS = np.array([[0.60, 0.72, 0.34], [0.18, 0.92, 0.34]])
"""Of ``stained_tissue``: haematoxylin's and eosin's optical density."""


def stained_tissue(
    height: int,
    width: int,
    seed: int = 0,
    *,
    vectors: NDArray[np.float64] = STAINS,
    strength: float = 1.0,
) -> Pixels:
    """Pixels all of tissue, of known stains."""
    rng = np.random.default_rng(seed)
    amount = [gaussian_filter(rng.uniform(0, 1, (height, width)), 3) for _ in range(2)]
    h, e = ((a - a.min()) / (a.max() - a.min()) for a in amount)
    od = np.stack([0.15 + 1.3 * h * (1 - e), 0.25 + 0.8 * e], axis=-1) @ vectors * strength
    return (NORMALISATION.light * np.exp(-od)).clip(0, 255).astype(np.uint8)


WAVE_PX = 64


def waves(width: int, height: int, full: int = 1) -> Pixels:
    """Red is a wave along x, green one along y: their phase tells the place.

    ``full`` is the downsample of the copy that is made.
    """
    out = np.zeros((height, width, 3))
    out[..., 0] = np.sin((np.arange(width) + 0.5) * full * 2 * np.pi / WAVE_PX)[None, :]
    out[..., 1] = np.sin((np.arange(height) + 0.5) * full * 2 * np.pi / WAVE_PX)[:, None]
    return np.round(out * 120 + 127).astype(np.uint8)


def shift_of_wave(values: NDArray[Any], at: NDArray[np.float64]) -> float:
    """Return by how many pixels a wave sampled at given places is shifted to the right."""
    angle = at * 2 * np.pi / WAVE_PX
    columns = np.stack([np.sin(angle), np.cos(angle), np.ones_like(at)], axis=1)
    sine, cosine, _ = np.linalg.lstsq(columns, values, rcond=None)[0]
    return float(-np.arctan2(cosine, sine) * WAVE_PX / (2 * np.pi))


def halved(pixels: Pixels) -> Pixels:
    """A copy of half the size, odd rows and columns dropped, as scanners do."""
    h, w = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2
    parts: NDArray[np.int64] = pixels[:h, :w].astype(np.int64).reshape(h // 2, 2, w // 2, 2, 3)
    return np.asarray(np.round(parts.mean((1, 3))), np.uint8)


TIFF_DRESSES: dict[str, dict[str, Any]] = {
    "plain strips": {"rowsperstrip": 17},
    "one strip": {"rowsperstrip": 10_000},
    "lzw strips": {"compression": "lzw", "rowsperstrip": 16},
    "lzw predictor": {"compression": "lzw", "predictor": True, "rowsperstrip": 16},
    "deflate strips": {"compression": "adobe_deflate", "rowsperstrip": 32},
    "deflate one strip": {"compression": "adobe_deflate", "rowsperstrip": 10_000},
    "packbits": {"compression": "packbits", "rowsperstrip": 16},
    "zstd": {"compression": "zstd", "tile": (32, 48)},
    "plain tiles": {"tile": (64, 48)},
    "deflate tiles": {"tile": (64, 64), "compression": "adobe_deflate", "predictor": True},
    "lossless jpeg 2000": {"tile": (64, 64), "compression": "jpeg2000"},
    "bigtiff tiles": {"bigtiff": True, "tile": (64, 64), "compression": "lzw"},
    "big-endian": {"byteorder": ">", "rowsperstrip": 16},
    "planar": {"planarconfig": "separate", "rowsperstrip": 32},
    "planar tiles": {"planarconfig": "separate", "tile": (64, 64), "compression": "lzw"},
}


def write_tiff(path: Path, pixels: Pixels, *, mpp: float | None = MPP, **dress: Any) -> Path:
    """Write a picture as TIFF in a dress of ``TIFF_DRESSES``."""
    big = {key: dress.pop(key) for key in ("bigtiff", "byteorder") if key in dress}
    if dress.get("planarconfig") == "separate":
        pixels = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    where: dict[str, Any] = {"metadata": None, "photometric": "rgb"}
    if mpp is not None:
        where |= {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path, **big) as tiff:
        tiff.write(pixels, **(where | dress))
    return path


def write_pyramid(path: Path, levels: list[Pixels], *, subifds: bool, **dress: Any) -> Path:
    """Write a picture and its smaller copies, as SubIFDs or as further pages."""
    dress = {"tile": (64, 64), "metadata": None, "photometric": "rgb"} | dress
    where = {"resolution": (1e4 / MPP, 1e4 / MPP), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(levels[0], **dress, **where, subifds=len(levels) - 1 if subifds else None)
        for level in levels[1:]:
            tiff.write(level, **dress, subfiletype=1)
    return path


def write_raster(path: Path, pixels: Pixels, mpp: float | None = None) -> Path:
    """Write a picture as PNG or JPEG, by the ending."""
    dpi = None if mpp is None else (25_400 / mpp, 25_400 / mpp)
    options: dict[str, Any] = {} if dpi is None else {"dpi": dpi}
    Image.fromarray(pixels).save(path, **options)
    return path
