"""What a second scanner does to the pixels of a first: linear filters learnt from registered pairs.

Two scanners saw the same tissue. Around every place of such a pair, each RGB value of the second
image is predicted from the 5 x 5 RGB values of the first by ridge regression. A filter holds the
difference of optics, sharpening and colour at that place; a set of filters holds how it varies.
Applied to images of the first scanner, a part of the way, they show tissue as the second sees it.

The pairs must agree to a few pixels at one resolution; every tile is registered again by
cross-correlation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import ARCHIVE_ERRORS, Float32Array, FloatArray, Pixels, Rng
from metaphase.errors import InputError, RecipeError
from metaphase.files import open_regular, whole_file

SIDE = 5
TILE_PX = 256
MARGIN_PX = 40
REACH_PX = 20
"""Tiles are registered within this many pixels."""
LEAST_CORRELATION = 0.88
"""Tiles that a filter explains less well hold folds, or are not the same tissue."""
RIDGE = 20.0
"""Squared grey levels. Neighbouring pixels are nearly equal, and least squares alone unstable."""
_SAMPLES = 5000


@dataclass(frozen=True, slots=True, eq=False)
class ScannerFilters:
    """``weights`` [n, 3 out, 3 in, 5, 5] and ``offset`` [n, 3] in grey levels; ``group`` [n], the
    slide that each was learnt on; ``correlation`` [n] with the second scanner's own pixels, on
    pixels that were not used to learn it."""

    weights: Float32Array
    offset: Float32Array
    group: tuple[str, ...]
    correlation: Float32Array

    def __len__(self) -> int:
        return len(self.weights)

    def without(self, groups: Iterable[str]) -> ScannerFilters:
        """Return those that were not learnt on some slides."""
        left_out = set(groups)
        keep = np.array([group not in left_out for group in self.group], dtype=bool)
        return ScannerFilters(
            self.weights[keep],
            self.offset[keep],
            tuple(group for group in self.group if group not in left_out),
            self.correlation[keep],
        )

    def save(self, path: str | Path) -> None:
        """Write them as one NumPy archive."""
        with whole_file(path) as part, part.open("wb") as stream:
            np.savez_compressed(
                stream,
                weights=self.weights.astype(np.float16),
                offset=self.offset,
                group=np.array(self.group),
                correlation=self.correlation,
            )


def _numbers(values: NDArray[Any]) -> Float32Array:
    if values.dtype.kind not in "fiu":
        raise TypeError(f"numbers of type {values.dtype}")
    with np.errstate(over="ignore"):  # too large numbers become infinite, which is refused
        return values.astype(np.float32)


def load_filters(path: str | Path, without: Iterable[str] = ()) -> ScannerFilters:
    """Read what ``save`` wrote, without those of some slides. Raises InputError, RecipeError."""
    try:
        with open_regular(path) as stream, np.load(stream, allow_pickle=False) as archive:
            filters = ScannerFilters(
                _numbers(archive["weights"]),
                _numbers(archive["offset"]),
                tuple(str(name) for name in archive["group"]),
                _numbers(archive["correlation"]),
            )
    except ARCHIVE_ERRORS as error:
        raise InputError.of(
            path,
            f"is no file of scanner filters: {error}",
            way_out="make one with 'python -m studies.scanner_filters'",
        ) from error
    count = len(filters.group)
    shape = (count, 3, 3, SIDE, SIDE)
    shapes = filters.weights.shape, filters.offset.shape, filters.correlation.shape
    finite = all(
        np.isfinite(values).all()
        for values in (filters.weights, filters.offset, filters.correlation)
    )
    if shapes != (shape, (count, 3), (count,)) or not finite:
        raise InputError.of(path, f"holds filters of a shape other than {shape}")
    kept = filters.without(without)
    if not len(kept):
        raise RecipeError.of(path, "no filter is left", record="augment.scanner.without")
    return kept


def learn_filters(pairs: Iterable[tuple[str, Pixels, Pixels]], *, seed: int = 0) -> ScannerFilters:
    """Learn a filter for every tile of pairs (slide, first, second) at one resolution.

    Images are uint8 [h, w, 3] with a common origin. Raises InputError where no tile of any pair
    is explained well enough.
    """
    rng = np.random.default_rng(seed)
    rows = [
        (slide, *fitted) for slide, first, second in pairs for fitted in _tiles(first, second, rng)
    ]
    if not rows:
        raise InputError.of("scanner filters", "no tile of the pairs shows the same tissue")
    groups, weights, offsets, correlations = zip(*rows, strict=True)
    return ScannerFilters(
        np.stack(weights), np.stack(offsets), tuple(groups), np.array(correlations, np.float32)
    )


def _tiles(
    first: Pixels, second: Pixels, rng: Rng
) -> Iterator[tuple[Float32Array, Float32Array, float]]:
    greys = [_density(image) for image in (first, second)]
    height, width = first.shape[:2]
    for y in range(MARGIN_PX, height - TILE_PX - MARGIN_PX + 1, TILE_PX):
        for x in range(MARGIN_PX, width - TILE_PX - MARGIN_PX + 1, TILE_PX):
            here = np.s_[y : y + TILE_PX, x : x + TILE_PX]
            if greys[1][here].shape != (TILE_PX, TILE_PX):
                continue
            dy, dx = displacement(greys[0][here], greys[1][here])
            there = second[y + dy : y + dy + TILE_PX, x + dx : x + dx + TILE_PX]
            if there.shape[:2] != (TILE_PX, TILE_PX) or min(y + dy, x + dx) < 0:
                continue
            weights, offset, correlation = fit_filter(first[here], there, rng)
            if correlation >= LEAST_CORRELATION:
                yield weights, offset, correlation


def displacement(first: FloatArray, second: FloatArray) -> tuple[int, int]:
    """Return dy, dx so that ``second[y + dy, x + dx]`` shows what ``first[y, x]`` shows."""
    window = np.outer(np.hanning(len(first)), np.hanning(first.shape[1]))
    spectra = [np.fft.rfft2((image - image.mean()) * window) for image in (first, second)]
    correlation = np.fft.irfft2(spectra[1] * np.conj(spectra[0]), s=first.shape)
    reach = np.arange(-REACH_PX, REACH_PX + 1)
    near = correlation[np.ix_(reach, reach)]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    return int(reach[row]), int(reach[column])


def fit_filter(first: Pixels, second: Pixels, rng: Rng) -> tuple[Float32Array, Float32Array, float]:
    """Return weights [3, 3, 5, 5], offset [3] and the correlation on a quarter left out."""
    half = SIDE // 2
    height, width = first.shape[:2]
    ys, xs = (rng.integers(half, size - half, _SAMPLES) for size in (height, width))
    steps = range(-half, half + 1)
    around = [first[ys + dy, xs + dx] for dy in steps for dx in steps]
    inputs = np.stack(around, axis=1).reshape(_SAMPLES, -1).astype(np.float64)
    outputs = second[ys, xs].astype(np.float64)
    count = _SAMPLES * 3 // 4
    mean_in, mean_out = inputs[:count].mean(axis=0), outputs[:count].mean(axis=0)
    centred = inputs[:count] - mean_in
    gram = centred.T @ centred / count + RIDGE * np.eye(inputs.shape[1])
    solved = np.linalg.solve(gram, centred.T @ (outputs[:count] - mean_out) / count)
    offset = mean_out - mean_in @ solved
    predicted = inputs[count:] @ solved + offset
    weights = solved.reshape(SIDE, SIDE, 3, 3).transpose(3, 2, 0, 1)
    correlation = _correlation(predicted, outputs[count:])
    return weights.astype(np.float32), offset.astype(np.float32), correlation


def _correlation(predicted: FloatArray, true: FloatArray) -> float:
    if min(predicted.std(axis=0).min(), true.std(axis=0).min()) < 1e-6:
        return 0.0
    return float(np.mean([np.corrcoef(predicted[:, c], true[:, c])[0, 1] for c in range(3)]))


def _density(image: Pixels) -> NDArray[np.float64]:
    table = -np.log(np.maximum(np.arange(256), 1) / 255)
    return np.asarray(np.take(table, image).mean(axis=2), dtype=np.float64)
