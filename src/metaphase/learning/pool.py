"""The candidates of all images of a loop as one table, with what the readers decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaphase.arrays import BoolArray, FloatArray, IntArray
from metaphase.detectionfile import JSON_NAME, load_provenance
from metaphase.errors import InputError
from metaphase.learning.candidates import SlideCandidates
from metaphase.learning.loopfolder import LoopFolder
from metaphase.learning.slidereview import SlideReview, Targets, find_review, targets_of


@dataclass(frozen=True, eq=False)
class Pool:
    """Candidates, targets and SHA-256 of each image."""

    names: tuple[str, ...]
    candidates: tuple[SlideCandidates, ...]
    targets: tuple[Targets, ...]
    hashes: tuple[str, ...]

    @property
    def slide(self) -> IntArray:
        """The number of the image of each candidate [n]."""
        return np.repeat(np.arange(len(self.names)), [len(one) for one in self.candidates])

    @property
    def target(self) -> FloatArray:
        """The targets [n], NaN where undecided."""
        return np.concatenate([one.target for one in self.targets])

    @property
    def decided(self) -> BoolArray:
        """Which candidates [n] have a decision."""
        return ~np.isnan(self.target)

    @property
    def features(self) -> FloatArray:
        """The features [n, d], averaged over the symmetries."""
        return np.concatenate([one.mean_features for one in self.candidates])

    @property
    def first(self) -> FloatArray:
        """The scores of the detector [n]."""
        return np.concatenate([one.first for one in self.candidates])

    @property
    def score(self) -> FloatArray:
        """The final scores [n] by the model that the loop began with."""
        return np.concatenate([one.score for one in self.candidates])

    @property
    def missed(self) -> FloatArray:
        """The number of figures of each image that have no candidate [slides]."""
        return np.array([len(one.missed) for one in self.targets], np.float64)

    def place(self, row: int) -> tuple[str, float, float]:
        """Return image and position of a candidate."""
        slide = int(self.slide[row])
        at = row - sum(len(one) for one in self.candidates[:slide])
        one = self.candidates[slide]
        return self.names[slide], float(one.x_px[at]), float(one.y_px[at])


def load_pool(loop: LoopFolder, reviews: Sequence[SlideReview] = ()) -> Pool:
    """Read the candidates of all images that have them, with the decisions on each.

    Raises InputError where no image has any.
    """
    names, candidates, targets, hashes = [], [], [], []
    for image in loop.settings().images:
        path = loop.candidates(image.name)
        if not path.is_file():
            continue
        found = SlideCandidates.load(path)
        provenance = load_provenance(loop.detections / image.name / JSON_NAME)
        review = find_review(reviews, Path(image.path))
        known = targets_of(found, review, provenance.mpp) if review else Targets.unknown(found)
        names.append(image.name)
        candidates.append(found)
        targets.append(known)
        hashes.append(provenance.image_sha256)
    if not any(len(one) for one in candidates):
        raise InputError.of(
            loop.path, "has no candidates", way_out="repeat 'metaphase learn start', or add images"
        )
    return Pool(tuple(names), tuple(candidates), tuple(targets), tuple(hashes))
