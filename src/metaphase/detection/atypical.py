"""Atypical mitotic figures: the probability that each detected figure is one.

A network of its own scores a window around every mitotic figure at or above the threshold. These
are few, so that the cost is small. The probability of a figure does not depend on the other
figures.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import numpy as np

from metaphase.arrays import BoolArray, FloatArray, Pixels
from metaphase.detection.decode import sigmoid
from metaphase.detection.runtime import open_runtime
from metaphase.detection.runtimebase import Runtime
from metaphase.detection.secondstage import read_window, window_logits, window_stacks
from metaphase.figures import ATYPICAL_DECIMALS, Detections, Label
from metaphase.models.card import Atypical
from metaphase.models.modelfile import Model
from metaphase.slides.slide import Slide

_SYMMETRIES = (0, 3, 4, 7, 1, 2, 5, 6)
"""Four of them: as it is, half a turn, and both with the axes swapped."""


@dataclass(frozen=True)
class AtypicalClassifier:
    """Scores mitotic figures of one slide with the network for atypical figures."""

    slide: Slide
    atypical: Atypical
    model: Model
    runtime: Runtime

    def probabilities(self, points: FloatArray) -> FloatArray:
        """Return the calibrated probability [n] that the figures at points [n, 2] are atypical."""
        parts = [np.zeros(0)]
        with closing(window_stacks(self._read, points)) as stacks:
            for windows in stacks:
                logits = window_logits(self.runtime, windows, symmetries(self.atypical.symmetries))
                parts.append(calibrated(logits.mean(axis=0), self.atypical))
        return np.concatenate(parts)

    def _read(self, point: FloatArray) -> Pixels:
        spec = self.model.card.input
        x, y = point.tolist()
        return read_window(self.slide, x, y, spec.tile_px, spec.mpp)


def with_atypical(
    detections: Detections, slide: Slide, model: Model, runtime: Runtime
) -> Detections:
    """Return detections with the probability of atypical of each mitotic figure that counts.

    Unchanged for a model without a network for it.
    """
    network, atypical = model.atypical, model.card.atypical
    if network is None or atypical is None:
        return detections
    chosen = counts(detections)
    values = np.full(len(detections), np.nan)
    if chosen.any():
        part = runtime.atypical or open_runtime(network)
        classifier = AtypicalClassifier(slide, atypical, network, part)
        probabilities = classifier.probabilities(detections.points[chosen])
        values[chosen] = np.round(probabilities, ATYPICAL_DECIMALS)
    return detections.with_atypical(values)


def counts(detections: Detections) -> BoolArray:
    """Return which detections [n] are mitotic figures at or above the threshold."""
    mitotic = detections.label == Label.MITOTIC.code
    return np.asarray(mitotic & (detections.score >= detections.provenance.threshold))


def symmetries(count: int) -> tuple[int, ...]:
    """Return the numbers (``turn``) of the symmetries that are averaged."""
    return _SYMMETRIES[:count]


def calibrated(logits: FloatArray, atypical: Atypical) -> FloatArray:
    """Return the probabilities of logits."""
    return sigmoid(atypical.slope * logits + atypical.intercept)
