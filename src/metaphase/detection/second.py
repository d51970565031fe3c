"""The second look: a small network scores a window around each candidate again.

A detector sees every place once, most of it easy. What it takes for a mitotic figure is looked at
again, larger and in several symmetries, by a network that has learnt from figures and from the
mistakes of the detector alone (a cascade, as in Chen et al. 2016, AAAI).
Windows are few, so it costs a few percent of the time.
"""

from __future__ import annotations

from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from metaphase.detection.ahead import map_ahead
from metaphase.detection.decode import sigmoid
from metaphase.detection.runtime import Runtime
from metaphase.figures import SCORE_DECIMALS, Detections, Label
from metaphase.models.modelfile import Model
from metaphase.models.spec import InputSpec, SecondLook
from metaphase.slides.slide import Pixels, Slide

_BATCH = 16
_READERS = 2


def look_again(
    found: Detections, slide: Slide, look: SecondLook, second: Model, runtime: Runtime
) -> Detections:
    """Return the mitotic figures among ``found`` with their new scores.

    Those that the detector scores under ``look.min_score`` are left out; other labels stay as they
    are. ``runtime`` runs ``second``.
    """
    again = (found.label == Label.MITOTIC.code) & (found.score >= look.min_score)
    keep = again | (found.label != Label.MITOTIC.code)
    score = np.array(found.score)
    points = np.stack([found.x_px[again], found.y_px[again]], axis=1)
    others = second_scores(points, slide, second.card.input, runtime, look.symmetries)
    score[again] = score[again] ** (1 - look.weight) * others**look.weight
    return Detections(
        found.x_px[keep],
        found.y_px[keep],
        np.round(score[keep], SCORE_DECIMALS),
        found.label[keep],
        provenance=found.provenance,
    )


def second_scores(
    points: NDArray[np.float64], slide: Slide, spec: InputSpec, runtime: Runtime, symmetries: int
) -> NDArray[np.float64]:
    """Return what the second network makes of the windows around points [n, 2], [0, 1] each.

    The logits of the first ``symmetries`` of the square's eight are averaged.
    """

    def read(point: NDArray[np.float64]) -> Pixels:
        return read_window(slide, float(point[0]), float(point[1]), spec.tile_px, spec.mpp)

    windows = map_ahead(read, points, workers=_READERS, ahead=2 * _BATCH)
    logits: list[NDArray[np.float64]] = []
    with closing(windows):
        for start in range(0, len(points), _BATCH):
            pixels = np.stack([next(windows) for _ in points[start : start + _BATCH]])
            turned = [runtime.run(turn(pixels, n))[0].ravel() for n in range(symmetries)]
            logits.append(np.mean(turned, axis=0, dtype=np.float64))
    return np.asarray(sigmoid(np.concatenate(logits)) if logits else np.zeros(0))


def read_window(slide: Slide, x_px: float, y_px: float, side: int, mpp: float) -> Pixels:
    """Return the window [side, side, 3] at ``mpp`` around a point of the slide.

    Where it reaches over the slide's border it is mirrored there: white beside tissue would be
    something that only windows at a border have.
    """
    scale = mpp / slide.mpp
    x, y = x_px - side * scale / 2, y_px - side * scale / 2
    pixels = slide.read(x, y, side, side, mpp)
    padding = []
    for start, length in ((y, slide.height_px), (x, slide.width_px)):
        before = int(np.ceil(max(0.0, -start) / scale))
        after = int(np.ceil(max(0.0, start + side * scale - length) / scale))
        padding.append((before, after) if before + after < side else (0, 0))
    if padding == [(0, 0), (0, 0)]:
        return pixels
    (top, bottom), (left, right) = padding
    inside = pixels[top : side - bottom, left : side - right]
    return np.pad(inside, [*padding, (0, 0)], mode="symmetric")


def turn(windows: Pixels, number: int) -> Pixels:
    """Return square windows [n, h, w, 3] in one of the eight symmetries: bit 0 mirrors x, bit 1
    mirrors y, bit 2 swaps the axes."""
    if number & 1:
        windows = windows[:, :, ::-1]
    if number & 2:
        windows = windows[:, ::-1]
    if number & 4:
        windows = windows.swapaxes(1, 2)
    return np.ascontiguousarray(windows)
