"""How many figures there truly are, given how many were detected and how good the detector is.

The model. True figures fall as a Poisson process; the detector finds each with probability R
(recall) and adds false ones, so that a detection is true with probability P (precision). From a
validation at the same threshold with tp true, fp false and fn missed figures, with Jeffreys' prior
(Brown, Cai and DasGupta, Stat. Sci. 16:101, 2001):

    P ~ Beta(tp + 1/2, fp + 1/2),    R ~ Beta(tp + 1/2, fn + 1/2).

Of n detections that nobody looked at, k ~ Binomial(n, P) are true. Poisson figures that are kept
and lost at random are independent, and with Jeffreys' prior for their rate the lost ones are
lost ~ Poisson(rate * (1 - R)), rate * R ~ Gamma(k + 1/2): a negative binomial. The count is k plus
the lost ones. The point estimate is n P / R, the estimate of the expected count.

What it leaves out: precision and recall are taken to be those of the validation, so it holds as far
as the slide is like the cases there; precision is higher where figures are many, and a hotspot is
where they are many; and a maximum over the slide is a little high for what was looked for there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from metaphase.errors import InputError

DRAWS = 20_000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Validation:
    """True, false and missed figures of the detector at its threshold, on data of its own.

    ``source`` tells in words who counted them; it is nothing that counts are compared by.
    """

    tp: int
    fp: int
    fn: int
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if min(self.tp, self.fp, self.fn) < 0 or self.tp == 0:
            raise InputError.of(
                "validation",
                f"tp = {self.tp}, fp = {self.fp}, fn = {self.fn} tell nothing of the detector",
                way_out="give counts of at least one true figure, none below zero",
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
        told = f" ({self.source})" if self.source else ""
        return (
            f"precision {self.precision:.3f} and recall {self.recall:.3f}, from {self.tp} true, "
            f"{self.fp} false and {self.fn} missed figures{told}"
        )


@dataclass(frozen=True, slots=True)
class CountComposition:
    """What a count is made of. Without a review everything is ``unseen``.

    ``unseen`` detections nobody judged; ``confirmed`` ones somebody did; ``added`` figures were
    missed by the detector and found by a person; ``complete`` tells that a person looked at all of
    the window, so that nothing is missing any more.
    """

    unseen: int
    confirmed: int = 0
    added: int = 0
    complete: bool = False

    @property
    def count(self) -> int:
        """The figures as they stand."""
        return self.unseen + self.confirmed + self.added


@dataclass(frozen=True, slots=True)
class Estimate:
    """The expected true count and its interval at ``level``."""

    expected: float
    low: int
    high: int
    level: float = LEVEL


def estimate(
    seen: CountComposition,
    validation: Validation | None,
    *,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Estimate | None:
    """Return the true count by Monte Carlo, the same for the same seed.

    None where nothing is known of the detector and something was left to it.
    """
    firm = seen.confirmed + seen.added
    if seen.complete and seen.unseen == 0:
        return Estimate(float(firm), firm, firm, level)
    if validation is None:
        return None
    rng = np.random.default_rng(seed)
    half = 0.5
    precision = rng.beta(validation.tp + half, validation.fp + half, draws)
    recall = rng.beta(validation.tp + half, validation.fn + half, draws)
    found = seen.confirmed + rng.binomial(seen.unseen, precision)
    lost = np.zeros(draws, np.int64)
    if not seen.complete:
        rate = rng.gamma(found + half) / recall
        lost = np.maximum(rng.poisson(rate * (1 - recall)), seen.added)
    else:
        lost += seen.added
    total = found + lost
    tail = (1 - level) / 2
    low, high = np.quantile(total, [tail, 1 - tail], method="inverted_cdf")
    return Estimate(_expected(seen, validation), int(low), int(high), level)


def _expected(seen: CountComposition, validation: Validation) -> float:
    found = seen.confirmed + seen.unseen * validation.precision
    if seen.complete:
        return found + seen.added
    return max(found / validation.recall, found + seen.added)
