"""The interval of the true count, from the detected count and the precision and recall.

The model. True figures follow a Poisson process; the detector finds each with probability R
(recall) and adds false positives, so that a detection is true with probability P (precision). From
a validation at the same threshold, with tp true, fp false and fn missed figures and Jeffreys'
prior (Brown, Cai and DasGupta, Stat. Sci. 16:101, 2001):

    P ~ Beta(tp + 1/2, fp + 1/2),    R ~ Beta(tp + 1/2, fn + 1/2).

Of n detections that were not reviewed, k ~ Binomial(n, P) are true. Detected and missed figures of
a Poisson process are independent. With Jeffreys' prior for the rate, the missed ones are
missed ~ Poisson(rate * (1 - R)) with rate * R ~ Gamma(k + 1/2): a negative binomial. The count is
k plus the missed figures. The point estimate is n P / R, the estimate of the expected count.

Limits of the model: precision and recall are those of the validation, so that the interval holds
only for slides like the cases there; precision is higher where figures are frequent, as in a
hotspot; and the count of a hotspot, a maximum over the slide, is biased upwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from metaphase.errors import InputError

DRAWS = 20_000
LEVEL = 0.95
_MOST = 10**9  # figures that a validation may have


@dataclass(frozen=True, slots=True)
class Validation:
    """True positives, false positives and missed figures of the detector at its threshold.

    ``source`` describes where they were counted; it is ignored by comparisons.
    """

    tp: int
    fp: int
    fn: int
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        counts = (self.tp, self.fp, self.fn)
        if min(counts) < 0 or max(counts) > _MOST or self.tp == 0:
            raise InputError.of(
                "validation",
                f"tp = {self.tp}, fp = {self.fp}, fn = {self.fn} give no precision and recall",
                way_out="give counts with at least one true positive and none below zero",
            )

    @property
    def precision(self) -> float:
        """tp / (tp + fp)."""
        return self.tp / (self.tp + self.fp)

    @property
    def recall(self) -> float:
        """tp / (tp + fn)."""
        return self.tp / (self.tp + self.fn)

    def __str__(self) -> str:
        source = f" ({self.source})" if self.source else ""
        return (
            f"precision {self.precision:.3f} and recall {self.recall:.3f}, from {self.tp} true, "
            f"{self.fp} false and {self.fn} missed figures{source}"
        )


@dataclass(frozen=True, slots=True)
class CountComposition:
    """The parts of a count. Without a review everything is ``unseen``.

    ``unseen`` detections were not reviewed, ``confirmed`` ones were; ``added`` figures were missed
    by the detector and marked by a reader. ``complete`` states that a reader searched all of the
    window, so that no figure is missing.
    """

    unseen: int
    confirmed: int = 0
    added: int = 0
    complete: bool = False

    @property
    def count(self) -> int:
        """The sum of the parts."""
        return self.unseen + self.confirmed + self.added


@dataclass(frozen=True, slots=True)
class Estimate:
    """The expected true count and its interval at ``level``."""

    expected: float
    low: int
    high: int
    level: float = LEVEL


def estimate(
    composition: CountComposition,
    validation: Validation | None,
    *,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Estimate | None:
    """Return the true count by Monte Carlo simulation, the same for the same seed.

    None if precision and recall are unknown and the count depends on the detector.
    """
    reviewed = composition.confirmed + composition.added
    if composition.complete and composition.unseen == 0:
        return Estimate(float(reviewed), reviewed, reviewed, level)
    if validation is None:
        return None
    rng = np.random.default_rng(seed)
    half = 0.5
    precision = rng.beta(validation.tp + half, validation.fp + half, draws)
    recall = rng.beta(validation.tp + half, validation.fn + half, draws)
    detected = composition.confirmed + rng.binomial(composition.unseen, precision)
    missed = np.zeros(draws, np.int64)
    if not composition.complete:
        rate = rng.gamma(detected + half) / recall
        missed = np.maximum(rng.poisson(rate * (1 - recall)), composition.added)
    else:
        missed += composition.added
    total = detected + missed
    tail = (1 - level) / 2
    low, high = np.quantile(total, [tail, 1 - tail], method="inverted_cdf")
    return Estimate(_expected(composition, validation), int(low), int(high), level)


def _expected(composition: CountComposition, validation: Validation) -> float:
    detected = composition.confirmed + composition.unseen * validation.precision
    if composition.complete:
        return detected + composition.added
    return max(detected / validation.recall, detected + composition.added)
