"""Which candidates to review next: those whose labels inform most about the last layer.

The information of a decision about the layer is half the logarithm of 1 + p (1 - p) v, where p is
the score of the candidate and v the posterior variance of its logit (MacKay 1992, Neural
Computation 4:590). Candidates are taken one by one; after each, the variances are updated as if it
had been decided. A second candidate with nearly the same features then has little information left,
so that a batch does not consist of like cells.
"""

from __future__ import annotations

import numpy as np

from metaphase.arrays import BoolArray, FloatArray, IntArray
from metaphase.detection.decode import sigmoid
from metaphase.training.finetune.head import Posterior


def most_informative(
    posterior: Posterior,
    features: FloatArray,
    count: int,
    *,
    open_: BoolArray | None = None,
    slide: IntArray | None = None,
) -> IntArray:
    """Return the indices of at most ``count`` candidates, the most informative first.

    ``features`` [n, d]; ``open_`` [n] marks those that may be chosen. With ``slide`` [n], no slide
    gives more than twice its equal share while others have candidates left.
    """
    design = posterior.prior.design(features)
    score = sigmoid(posterior.head.logits(features))
    noise = score * (1 - score)
    product = design @ posterior.covariance
    variance = np.einsum("ij,ij->i", product, design)
    usable = np.ones(len(features), bool) if open_ is None else np.array(open_)
    quota = _Quota(slide, usable, count)
    chosen: list[int] = []
    while len(chosen) < count and usable.any():
        information = np.where(usable & quota.free(), noise * variance, -1.0)
        best = int(np.argmax(information))
        chosen.append(best)
        usable[best] = False
        quota.take(best)
        # The covariance after one more decision (Sherman and Morrison 1950).
        covered = product @ design[best]
        share = noise[best] / (1 + noise[best] * variance[best])
        variance = np.maximum(variance - share * covered**2, 0.0)
        product -= share * np.outer(covered, product[best])
    return np.array(chosen, np.int64)


class _Quota:
    """How many candidates each slide may still give."""

    def __init__(self, slide: IntArray | None, usable: BoolArray, count: int) -> None:
        self.slide = np.zeros(len(usable), np.int64) if slide is None else slide
        slides = len(np.unique(self.slide[usable]))
        most = int(np.ceil(2 * count / slides)) if slides > 1 else count
        self.left = np.full(int(self.slide.max(initial=0)) + 1, most)
        self.usable = usable

    def free(self) -> BoolArray:
        """Return which candidates [n] may be taken; all where the quotas leave none."""
        allowed = np.asarray(self.left[self.slide] > 0)
        return allowed if (allowed & self.usable).any() else np.ones(len(allowed), bool)

    def take(self, row: int) -> None:
        """Count a candidate."""
        self.left[self.slide[row]] -= 1
