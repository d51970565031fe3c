"""The second stage: a small network scores a window around each candidate again.

A detector sees every place once, most of it easy. What it takes for a mitotic figure is looked at
again, larger and in several symmetries, by a network that has learnt from figures and from the
mistakes of the detector alone (a cascade, as in Chen et al. 2016, AAAI).

It looks in two steps, since most candidates are nothing: at one window of each, and where that
leaves a score of at least ``SecondStage.floor``, at the other symmetries too. The logits of all
that were looked at are averaged. What is done with one candidate does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metaphase.detection.decode import sigmoid
from metaphase.detection.prefetch import prefetch
from metaphase.detection.runtime import Runtime, streams_of
from metaphase.figures import SCORE_DECIMALS, Detections, Label
from metaphase.models.card import SecondStage
from metaphase.models.modelfile import Model
from metaphase.slides.slide import Pixels, Slide
from metaphase.slides.stain import Macenko

FloatArray = NDArray[np.float64]

_BATCH = 16
_STEP = 4
"""Smaller batches are filled up to multiples of this: runtimes prepare themselves for each size."""
_AT_ONCE = 256  # windows held in memory: 7 MB of 96 px
_READERS = 2


@dataclass(frozen=True)
class CandidateClassifier:
    """Looks at places of one slide with the network of a second stage.

    ``stain`` are the slide's own, which are exchanged for ``look.stain`` where both are known.
    """

    slide: Slide
    look: SecondStage
    model: Model
    runtime: Runtime
    stain: Macenko | None = None

    def wants(self, label: NDArray[np.int8], score: FloatArray) -> NDArray[np.bool_]:
        """Tell which candidates [n] are looked at again: what may be a mitotic figure."""
        return np.asarray((label == Label.MITOTIC.code) & (score >= self.look.min_score))

    def scores(self, points: FloatArray, first: FloatArray) -> FloatArray:
        """Return what the second network makes of points [n, 2], [0, 1] each.

        ``first`` are the detector's scores [n].
        """
        parts = [np.zeros(0)]
        windows = prefetch(self._read, points, workers=_READERS, depth=2 * _BATCH)
        with closing(windows):
            for start in range(0, len(points), _AT_ONCE):
                some = first[start : start + _AT_ONCE]
                parts.append(self._scores(np.stack([next(windows) for _ in some]), some))
        return np.concatenate(parts)

    def _scores(self, windows: Pixels, first: FloatArray) -> FloatArray:
        total = self._logits(windows, [0])[0]
        looks = np.ones(len(windows))
        promising = joined(first, sigmoid(total), self.look) >= self.look.floor
        if self.look.symmetries > 1 and promising.any():
            more = self._logits(windows[promising], range(1, self.look.symmetries))
            total[promising] += more.sum(axis=0)
            looks[promising] = self.look.symmetries
        return sigmoid(total / looks)

    def _logits(self, windows: Pixels, symmetries: Sequence[int]) -> FloatArray:
        """Return the logits [symmetries, n] of windows [n, h, w, 3]."""
        turned = np.concatenate([turn(windows, number) for number in symmetries])
        streams = streams_of(self.runtime)
        logits = prefetch(self._run, _batches(turned), workers=streams, depth=2 * streams)
        return np.concatenate(list(logits))[: len(turned)].reshape(len(symmetries), len(windows))

    def _run(self, windows: Pixels) -> FloatArray:
        return self.runtime.run(windows)[0].reshape(len(windows)).astype(np.float64)

    def _read(self, point: FloatArray) -> Pixels:
        spec = self.model.card.input
        x, y = point.tolist()
        window = read_window(self.slide, x, y, spec.tile_px, spec.mpp)
        wanted = self.look.stain
        if self.stain is None or wanted is None:
            return window
        return Macenko.told(wanted.vectors, wanted.amounts).instead_of(self.stain, window)


def rescore(
    found: Detections, classifier: CandidateClassifier, seen: FloatArray | None = None
) -> Detections:
    """Return the mitotic figures among ``found`` with their new scores.

    Those that the detector scores under the look's ``min_score`` are left out; other labels stay as
    they are. ``seen`` are rows x, y, score, second score [k, 4] of what was looked at before.
    """
    again = classifier.wants(found.label, found.score)
    keep = again | (found.label != Label.MITOTIC.code)
    score = np.array(found.score)
    rows = np.stack([found.x_px[again], found.y_px[again], score[again]], axis=1)
    score[again] = joined(
        score[again], _second_scores(rows, classifier, _by_place(seen)), classifier.look
    )
    return Detections(
        found.x_px[keep],
        found.y_px[keep],
        np.round(score[keep], SCORE_DECIMALS),
        found.label[keep],
        provenance=found.provenance,
    )


def joined(first: FloatArray, second: FloatArray, look: SecondStage) -> FloatArray:
    """Return the score of both looks together."""
    return np.asarray(first ** (1 - look.weight) * second**look.weight)


def _by_place(seen: FloatArray | None) -> dict[tuple[float, ...], float]:
    rows = [] if seen is None else seen.tolist()
    return {(x, y, first): second for x, y, first, second in rows}


def _second_scores(
    rows: FloatArray, classifier: CandidateClassifier, known: Mapping[tuple[float, ...], float]
) -> FloatArray:
    """Return the second scores of rows x, y, score [n, 3], looking at those that are not known."""
    found = np.array([known.get(tuple(row), np.nan) for row in rows.tolist()])
    missing = np.isnan(found)
    found[missing] = classifier.scores(rows[missing, :2], rows[missing, 2])
    return found


def _batches(windows: Pixels) -> Iterator[Pixels]:
    """Yield windows in batches, the last one filled up by repeating its last window."""
    for start in range(0, len(windows), _BATCH):
        batch = windows[start : start + _BATCH]
        short = -len(batch) % _STEP
        yield np.concatenate([batch, np.repeat(batch[-1:], short, axis=0)]) if short else batch


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
