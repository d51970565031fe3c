"""Which patches a run sees: a pure function of (seed, epoch, index).

The number of workers and devices and interruptions therefore change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import FloatArray
from metaphase.boxes import as_points, distances
from metaphase.errors import SplitError
from metaphase.figures import Label, points_of
from metaphase.labels.dataset import Case
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.training.recipe.anchors import DEFAULT_BOX_UM
from metaphase.training.recipe.sections import Sampling

Kind = Literal["mitotic", "hard_negative", "random"]
KINDS: tuple[Kind, ...] = ("mitotic", "hard_negative", "random")

PLACE, AUGMENT, ORDER, CROPS, CONTEXTS, UNLABELLED = range(6)
"""Streams of random numbers, independent of each other."""


def rng_for(seed: int, epoch: int, index: int, stream: int = PLACE) -> np.random.Generator:
    """Return the random numbers of one patch: a pure function of the arguments."""
    return np.random.Generator(
        np.random.Philox(np.random.SeedSequence([seed, epoch, index, stream]))
    )


@dataclass(frozen=True, slots=True)
class PatchSpec:
    """One patch to read: its top-left corner in full-resolution pixels and its resolution.

    ``kind`` is what it is drawn around; "random": nothing.
    """

    case_id: str
    x_px: float
    y_px: float
    patch_px: int
    mpp: float
    kind: Kind


@dataclass(frozen=True, slots=True, eq=False)
class SamplingCase:
    """A case for sampling. Points [n, 2] are full-resolution pixels.

    ``corners`` are the top-left corners of the mitotic figures' boxes, ``mined`` are false
    positives of a detector.
    """

    id: str
    domain: str
    width_px: int
    height_px: int
    mpp: float
    mitotic: FloatArray
    corners: FloatArray
    hard_negative: FloatArray
    mined: FloatArray
    ignore_radius_um: float = MATCH_RADIUS_UM

    def with_mined(self, places: FloatArray) -> SamplingCase:
        """Return the case with other mined places; those near a mitotic figure are dropped."""
        places = as_points(places)
        if len(places) and len(self.mitotic):
            away_um = distances(places, self.mitotic).min(axis=1) * self.mpp
            places = places[away_um > self.ignore_radius_um]
        return replace(self, mined=places)

    @property
    def area_um2(self) -> float:
        """The area of the region."""
        return self.width_px * self.height_px * self.mpp**2


def sampling_case(
    case: Case,
    *,
    width_px: int,
    height_px: int,
    mpp: float,
    domain: str = "",
    mined: FloatArray | None = None,
    ignore_radius_um: float = MATCH_RADIUS_UM,
) -> SamplingCase:
    """Describe a labelled case for sampling. Mined places near a mitotic figure are dropped."""
    if not case.labelled:
        raise SplitError.of(
            "training cases",
            "is unlabelled: its patches would be trained on as if it had no figures",
            record=f"case {case.id}",
            way_out="name it under 'unlabelled' in the split",
        )
    mitotic = points_of(case.figures, Label.MITOTIC)
    figures = [f for f in case.figures if f.label == Label.MITOTIC]
    half = DEFAULT_BOX_UM / mpp / 2
    corners = as_points([f.box[:2] if f.box else (f.x_px - half, f.y_px - half) for f in figures])
    empty = as_points([])
    described = SamplingCase(
        id=case.id,
        domain=domain,
        width_px=width_px,
        height_px=height_px,
        mpp=mpp,
        mitotic=mitotic,
        corners=corners,
        hard_negative=points_of(case.figures, Label.HARD_NEGATIVE),
        mined=empty,
        ignore_radius_um=ignore_radius_um,
    )
    return described if mined is None else described.with_mined(mined)


class Sampler:
    """The patches of a run. ``len`` is the number of patches an epoch."""

    def __init__(
        self,
        cases: Sequence[SamplingCase],
        sampling: Sampling,
        *,
        mpp: float,
        mpp_jitter: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not cases:
            raise SplitError.of("training cases", "there are none", way_out="see data.split")
        self.cases = tuple(cases)
        self.sampling = sampling
        self.mpp = mpp
        self.mpp_jitter = mpp_jitter
        self.seed = seed
        self._weights = {kind: self._case_weights(kind) for kind in KINDS}

    def with_mined(self, places: Mapping[str, FloatArray]) -> Sampler:
        """Return the same sampler with the mined places (case id -> [n, 2]) added to its own."""
        nothing = as_points([])
        return Sampler(
            [
                case.with_mined(np.concatenate([case.mined, places.get(case.id, nothing)]))
                for case in self.cases
            ],
            self.sampling,
            mpp=self.mpp,
            mpp_jitter=self.mpp_jitter,
            seed=self.seed,
        )

    def __len__(self) -> int:
        if self.sampling.patches_per_case is not None:
            return self.sampling.patches_per_case * len(self.cases)
        assert self.sampling.patches_per_epoch is not None  # one of the two, says the recipe
        return self.sampling.patches_per_epoch

    def spec(self, epoch: int, index: int) -> PatchSpec:
        """Return patch ``index`` of ``epoch``."""
        if not 0 <= index < len(self):
            raise IndexError(f"patch {index} of {len(self)}")
        rng = rng_for(self.seed, epoch, index)
        fixed = self._fixed_case(epoch, index)
        return self._draw(rng, self._kind(rng, fixed), fixed)

    def background(
        self, rng: np.random.Generator, epoch: int | None = None, index: int | None = None
    ) -> PatchSpec:
        """Draw a patch anywhere, as background for pastes. With ``patches_per_case`` it is of the
        case that has its turn at ``index`` of ``epoch``."""
        fixed = None if epoch is None or index is None else self._fixed_case(epoch, index)
        return self._draw(rng, "random", fixed)

    def _draw(self, rng: np.random.Generator, kind: Kind, fixed: SamplingCase | None) -> PatchSpec:
        case = fixed or self.cases[_pick(rng, self._weights[kind])]
        mpp = self.mpp * float(np.exp(rng.uniform(-self.mpp_jitter, self.mpp_jitter)))
        x, y = self._corner(rng, case, kind, self.sampling.patch_px * mpp / case.mpp)
        return PatchSpec(case.id, x, y, self.sampling.patch_px, mpp, kind)

    def _fixed_case(self, epoch: int, index: int) -> SamplingCase | None:
        """Return the case that has its turn, with ``patches_per_case``; else None."""
        if self.sampling.patches_per_case is None:
            return None
        order = _order(self.seed, epoch, len(self))
        return self.cases[int(order[index]) % len(self.cases)]

    def _kind(self, rng: np.random.Generator, case: SamplingCase | None) -> Kind:
        if self.sampling.scheme == "exercise":
            shares = np.array([0.5, 0.0, 0.5])
        else:
            s = self.sampling.shares
            shares = np.array([s.mitotic, s.hard_negative, s.random])
        kind = KINDS[_pick(rng, shares / shares.sum())]
        there = self._weights[kind].any() if case is None else self._targets(case, kind) > 0
        return kind if there else "random"

    def _targets(self, case: SamplingCase, kind: Kind) -> float:
        """Return the amount of a kind in a case: figures, or um2."""
        if kind == "mitotic":
            return len(case.mitotic)
        if kind == "hard_negative":
            return len(case.hard_negative) + self.sampling.mined_weight * len(case.mined)
        return case.area_um2

    def _case_weights(self, kind: Kind) -> FloatArray:
        """Return the probability [cases] of each case: equal for domains, then by its targets."""
        amount = np.array([self._targets(case, kind) for case in self.cases], dtype=np.float64)
        weights = np.where(
            amount > 0, np.maximum(amount, 1e-9) ** (1 - self.sampling.balance_cases), 0
        )
        if self.sampling.balance_by != "none":
            domains = np.array([case.domain for case in self.cases])
            for domain in np.unique(domains):
                inside = domains == domain
                if weights[inside].any():
                    weights[inside] /= weights[inside].sum()
        return weights / weights.sum() if weights.any() else weights

    def _corner(
        self, rng: np.random.Generator, case: SamplingCase, kind: Kind, side_px: float
    ) -> tuple[float, float]:
        """Return the top-left corner of a patch that covers ``side_px`` full-resolution pixels."""
        size = np.array([case.width_px, case.height_px], dtype=np.float64)
        room = size - side_px
        low, high = np.minimum(room, 0), np.maximum(room, 0)
        corner: FloatArray
        if kind == "random":
            corner = np.asarray(rng.uniform(low, high))
        else:
            corner = self._target(rng, case, kind) - self._offset(rng) * side_px
        # Whole pixels: at the slide's own resolution nothing is interpolated.
        x, y = np.clip(np.round(corner), np.ceil(low), np.floor(high))
        return float(x), float(y)

    def _target(self, rng: np.random.Generator, case: SamplingCase, kind: Kind) -> FloatArray:
        if kind == "mitotic":
            at_corner = self.sampling.offset == "corner-at-centre"
            points = case.corners if at_corner else case.mitotic
            return np.asarray(points[rng.integers(len(points))])
        labelled, mined = len(case.hard_negative), len(case.mined)
        weights = np.repeat([1.0, self.sampling.mined_weight], [labelled, mined])
        places = np.concatenate([case.hard_negative, case.mined])
        return np.asarray(places[_pick(rng, weights / weights.sum())])

    def _offset(self, rng: np.random.Generator) -> FloatArray:
        """Return where in the patch the target lies, in parts of its side [2]."""
        if self.sampling.offset != "uniform":
            return np.array([0.5, 0.5])
        rim = self.sampling.rim_px / self.sampling.patch_px
        return rng.uniform(rim, 1 - rim, 2)


def _pick(rng: np.random.Generator, probabilities: FloatArray) -> int:
    """Draw an index. (``Generator.choice`` checks so much that it takes ten times as long.)"""
    edges = np.cumsum(probabilities)
    index = np.searchsorted(edges, rng.random() * edges[-1], side="right")
    return int(min(index, np.flatnonzero(probabilities)[-1]))


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    return np.asarray(rng_for(seed, epoch, 0, ORDER).permutation(length), dtype=np.int64)
