"""The second stage: a second network scores a window around each candidate of the detector.

The detector sees every place once. Its candidates are few, so a second network can afford a larger
window and several symmetries. It was trained on figures and on the errors of the detector (a
cascade, as in Chen et al. 2016, AAAI).

Most candidates are no figures. So one window of each is scored first. Where the combined score is
at least ``SecondStage.floor``, the other symmetries are scored too and the logits are averaged.

Where a model normalises scores, the score that is compared with the floor is a normalised one. Its
level is that of the candidates of one group of tiles: that of the whole image is not known yet. So
as many candidates are seen in all symmetries on a scanner with low scores as on another. The other
candidates have no further influence on the score of a candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from metaphase.arrays import BoolArray, CodeArray, FloatArray, Pixels
from metaphase.detection.candidates import Candidates
from metaphase.detection.decode import sigmoid
from metaphase.detection.merge import merge
from metaphase.detection.prefetch import prefetch
from metaphase.detection.resolution import native_mpp, whole_px
from metaphase.detection.runtimebase import Runtime
from metaphase.detection.scorenormalisation import (
    cellular_area_mm2,
    level_and_shift,
    score_logits,
)
from metaphase.figures import SCORE_DECIMALS, Detections, Label
from metaphase.models.card import SecondStage
from metaphase.models.modelfile import Model
from metaphase.slides.slide import Slide
from metaphase.stain.macenko import Macenko

_BATCH = 16
_STEP = 4
"""Smaller batches are filled up to a multiple of this: runtimes prepare for each size they meet."""
_WINDOWS_IN_MEMORY = 256  # 7 MB of 96 px
_WINDOWS_AT_ONCE = 64  # in all symmetries
_READERS = 2


@dataclass(frozen=True)
class CandidateClassifier:
    """Scores candidates of one slide with the network of a second stage.

    ``stain`` are the stains of the slide. Windows are normalised to ``stage.stain`` where both are
    known.
    """

    slide: Slide
    stage: SecondStage
    model: Model
    runtime: Runtime
    stain: Macenko | None = None

    def selects(self, label: CodeArray, score: FloatArray) -> BoolArray:
        """Return which candidates [n] are scored: those that may be mitotic figures."""
        return np.asarray((label == Label.MITOTIC.code) & (score >= self.stage.min_score))

    def scores(self, points: FloatArray, first: FloatArray) -> FloatArray:
        """Return the second scores [n] of points [n, 2], in [0, 1].

        ``first`` [n] are the scores of the detector. The points are those of one group of tiles.
        """
        total, possible = self._first_windows(points, first)
        combined = combined_score(first, sigmoid(total), self.stage)
        shift = self._shift(points, combined)
        known = np.array(list(possible), dtype=np.int64)
        chosen = known[reaches_floor(combined[known], shift, self.stage)]
        more = range(1, self.stage.symmetries)
        for start in range(0, len(chosen), _WINDOWS_AT_ONCE):
            rows = chosen[start : start + _WINDOWS_AT_ONCE]
            windows = np.stack([possible[row] for row in rows.tolist()])
            logits = window_logits(self.runtime, windows, more).sum(axis=0)
            total[rows] = (total[rows] + logits) / self.stage.symmetries
        return sigmoid(total)

    def window(self, point: FloatArray) -> Pixels:
        """Return the window [side, side, 3] around a point x, y (px), as the network gets it."""
        spec, slide = self.model.card.input, self.slide
        mpp = native_mpp(slide.mpp, spec.mpp) or spec.mpp
        half = spec.tile_px * mpp / slide.mpp / 2
        x, y = (whole_px(at - half, slide.mpp, mpp) + half for at in point.tolist())
        window = read_window(slide, x, y, spec.tile_px, mpp)
        target = self.stage.stain
        if self.stain is None or target is None:
            return window
        return Macenko.from_values(target.vectors, target.amounts).transfer(window, self.stain)

    def _first_windows(
        self, points: FloatArray, first: FloatArray
    ) -> tuple[FloatArray, dict[int, Pixels]]:
        """Return the logits [n] of one window each, and some of the windows by their row: those of
        candidates that reach the floor with the largest shift that a normalisation may add."""
        normalisation = self.stage.score_normalisation
        most = normalisation.most if normalisation else 0.0
        logits = np.zeros(len(points))
        kept: dict[int, Pixels] = {}
        done = 0
        with closing(window_stacks(self.window, points)) as stacks:
            for windows in stacks:
                rows = np.arange(done, done + len(windows))
                logits[rows] = window_logits(self.runtime, windows, [0])[0]
                combined = combined_score(first[rows], sigmoid(logits[rows]), self.stage)
                if self.stage.symmetries > 1:
                    possible = np.flatnonzero(reaches_floor(combined, most, self.stage))
                    kept |= {done + int(i): windows[i].copy() for i in possible}
                done += len(windows)
        return logits, kept

    def _shift(self, points: FloatArray, combined: FloatArray) -> float:
        """Return what the normalisation of scores would add to the logits of these candidates."""
        if self.stage.score_normalisation is None:
            return 0.0
        whole = (0.0, 0.0, self.slide.width_px, self.slide.height_px)
        area = cellular_area_mm2(points, whole, self.slide.mpp)
        logits = score_logits(combined)
        return level_and_shift(logits, area, self.stage.score_normalisation)[1]


def with_second_scores(
    candidates: Candidates, merge_radius_px: float, classifier: CandidateClassifier | None
) -> Candidates:
    """Return candidates with the second scores of those that are likely to remain after merging.

    Which remain is known only when all candidates of the slide are merged; by then, few are without
    a second score. Unchanged without a classifier.
    """
    if classifier is None:
        return candidates
    x, y, score, label = candidates.rounded()
    kept = merge(x, y, score, label, merge_radius_px)
    kept = kept[classifier.selects(label[kept], score[kept])]
    points = np.stack([x[kept], y[kept]], axis=1)
    second = classifier.scores(points, score[kept])
    return replace(candidates, rescored=np.column_stack([points, score[kept], second]))


def rescore(
    detections: Detections, classifier: CandidateClassifier, rescored: FloatArray | None = None
) -> Detections:
    """Return the detections with their final scores.

    Mitotic figures with a score of the detector below ``SecondStage.min_score`` are left out. Other
    labels keep their score. ``rescored`` are rows x, y, first score, second score [k, 4] that are
    known already.
    """
    selected = classifier.selects(detections.label, detections.score)
    keep = selected | (detections.label != Label.MITOTIC.code)
    score = np.array(detections.score)
    rows = np.stack([detections.x_px[selected], detections.y_px[selected], score[selected]], axis=1)
    second = _second_scores(rows, classifier, _by_place(rescored))
    score[selected] = combined_score(score[selected], second, classifier.stage)
    return detections.where(keep).with_score(np.round(score[keep], SCORE_DECIMALS))


def combined_score(first: FloatArray, second: FloatArray, stage: SecondStage) -> FloatArray:
    """Return the final score: the weighted geometric mean of the scores of both networks."""
    return np.asarray(first ** (1 - stage.weight) * second**stage.weight)


def reaches_floor(combined: FloatArray, shift: float, stage: SecondStage) -> BoolArray:
    """Return which candidates [n] are seen in all symmetries, by their scores after one window.

    ``shift`` is what a normalisation adds to the logits of these scores.
    """
    if shift:
        combined = sigmoid(score_logits(combined) + shift)
    return np.asarray(combined >= stage.floor)


def _by_place(rescored: FloatArray | None) -> dict[tuple[float, ...], float]:
    rows = [] if rescored is None else rescored.tolist()
    return {(x, y, first): second for x, y, first, second in rows}


def _second_scores(
    rows: FloatArray, classifier: CandidateClassifier, known: Mapping[tuple[float, ...], float]
) -> FloatArray:
    """Return the second scores of rows x, y, score [n, 3]; computes those that are not known."""
    second = np.array([known.get(tuple(row), np.nan) for row in rows.tolist()])
    missing = np.isnan(second)
    second[missing] = classifier.scores(rows[missing, :2], rows[missing, 2])
    return second


def window_stacks(
    read: Callable[[FloatArray], Pixels], points: FloatArray
) -> Generator[Pixels, None, None]:
    """Yield the windows of points [n, 2] in arrays [k, h, w, 3] that fit into memory.

    They are read ahead by several threads.
    """
    windows = prefetch(read, points, workers=_READERS, depth=2 * _BATCH)
    with closing(windows):
        for start in range(0, len(points), _WINDOWS_IN_MEMORY):
            some = points[start : start + _WINDOWS_IN_MEMORY]
            yield np.stack([next(windows) for _ in some])


def window_logits(runtime: Runtime, windows: Pixels, symmetries: Sequence[int]) -> FloatArray:
    """Return the logits [symmetries, n] of a window network for windows [n, h, w, 3].

    ``symmetries`` are numbers of ``turn``.
    """

    def run(batch: Pixels) -> FloatArray:
        return runtime.run(batch)[0].reshape(len(batch)).astype(np.float64)

    turned = np.concatenate([turn(windows, number) for number in symmetries])
    streams = runtime.streams
    logits = prefetch(run, _batches(turned), workers=streams, depth=2 * streams)
    return np.concatenate(list(logits))[: len(turned)].reshape(len(symmetries), len(windows))


def _batches(windows: Pixels) -> Iterator[Pixels]:
    """Yield windows in batches, the last one filled up by repeating its last window."""
    for start in range(0, len(windows), _BATCH):
        batch = windows[start : start + _BATCH]
        short = -len(batch) % _STEP
        yield np.concatenate([batch, np.repeat(batch[-1:], short, axis=0)]) if short else batch


def read_window(slide: Slide, x_px: float, y_px: float, side: int, mpp: float) -> Pixels:
    """Return the window [side, side, 3] at ``mpp`` around a point of the slide.

    Beyond the border of the slide it is mirrored. With white there, windows at a border would
    differ from those of the training.
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
