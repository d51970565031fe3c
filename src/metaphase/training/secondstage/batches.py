"""Which contexts a step of training sees: a pure function of (seed, step).

Half of a batch, or what ``figures`` says, holds mitotic figures. Scanners are drawn by the square
root of what they have, slides of a scanner likewise, so that no laboratory decides alone. Crops
give diversity: they are ``crops`` of the figures and ``crop_negatives`` of the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metaphase.arrays import Float32Array, FloatArray, IntArray, Pixels, Rng
from metaphase.training.patches.augment import sometimes_compressed
from metaphase.training.patches.sampling import CONTEXTS, rng_for
from metaphase.training.recipe.sections import Augment, SecondStage
from metaphase.training.secondstage.contexts import Contexts, Kind

BORDER_UM = (6.0, 11.0)
"""How far from the middle an artificial image border lies."""
_EPOCH = 2  # sets the numbers of batches apart from those of contexts


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Contexts uint8 [n, side, side, 3], targets [n], origins [n] of one step."""

    pixels: Pixels
    target: Float32Array
    origin: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    indices: IntArray
    edges: FloatArray

    def draw(self, rng: Rng) -> int:
        at = np.searchsorted(self.edges, rng.random() * self.edges[-1], side="right")
        return int(self.indices[min(at, len(self.indices) - 1)])


@dataclass(frozen=True, slots=True, eq=False)
class _Mixture:
    """Shares, and what is drawn where a share is hit."""

    parts: Sequence[tuple[float, _Choice | _Mixture]]

    def draw(self, rng: Rng) -> int:
        edges = np.cumsum([share for share, _ in self.parts])
        at = np.searchsorted(edges, rng.random() * edges[-1], side="right")
        return self.parts[min(int(at), len(self.parts) - 1)][1].draw(rng)


class BatchSampler:
    """Draws the batches of a run."""

    def __init__(
        self, contexts: Contexts, settings: SecondStage, augment: Augment, seed: int
    ) -> None:
        self.contexts, self.settings, self.augment, self.seed = contexts, settings, augment, seed
        self._figures = self._sides(settings.crops, {Kind.FIGURE: 1.0}, {Kind.FIGURE: 1.0})
        self._others = self._sides(settings.crop_negatives, *_negatives(settings))

    def batch(self, step: int) -> Batch:
        """Return the batch of a step."""
        rng = rng_for(self.seed, _EPOCH, step, CONTEXTS)
        size = self.settings.batch_size
        figures = int(rng.binomial(size, self.settings.figures))
        chosen = np.array([self._one(rng, row < figures) for row in range(size)])
        pixels = np.stack([self._varied(self.contexts.pixels[i], rng) for i in chosen])
        return Batch(pixels, self.contexts.target[chosen], self.contexts.origin[chosen])

    def _sides(
        self, crops: float, of_regions: Mapping[Kind, float], of_crops: Mapping[Kind, float]
    ) -> _Mixture:
        """Return what is drawn of regions and of crops. What is absent gives up its share."""
        sides = []
        for share, kinds, crop in ((1 - crops, of_regions, False), (crops, of_crops, True)):
            choices = []
            for kind, part in kinds.items():
                indices = self.contexts.where(kind, crop=crop)
                if len(indices) and part > 0:
                    edges = np.cumsum(_balanced(self.contexts, indices))
                    choices.append((part, _Choice(indices, edges)))
            if choices and share > 0:
                sides.append((share, _Mixture(choices)))
        return _Mixture(sides)

    def _one(self, rng: Rng, figure: bool) -> int:
        wanted, other = self._figures, self._others
        if not figure:
            wanted, other = other, wanted
        return (wanted if wanted.parts else other).draw(rng)

    def _varied(self, pixels: Pixels, rng: Rng) -> Pixels:
        """Add what happens to whole images: a border near the figure, another JPEG pass."""
        if rng.random() < self.settings.borders:
            pixels = with_border(pixels, rng, self.contexts.mpp)
        if self.augment.strength:
            pixels = sometimes_compressed(pixels, self.augment.jpeg, rng)
        return pixels


def with_border(pixels: Pixels, rng: Rng, mpp: float) -> Pixels:
    """Mirror a context at a line near its middle, as detection does at an image's border.

    Crops are small and mirrored often; so must be what is not of crops, and what is no figure.
    """
    side = len(pixels)
    cut = min(side - 1, int(side / 2 + rng.uniform(*BORDER_UM) / mpp))
    mirrored = pixels.copy()
    mirrored[:, cut:] = pixels[:, :cut][:, ::-1][:, : side - cut]
    return np.ascontiguousarray(np.rot90(mirrored, int(rng.integers(4))))


def _negatives(settings: SecondStage) -> tuple[dict[Kind, float], dict[Kind, float]]:
    """Return the shares of the kinds without a figure, of regions and of crops."""
    hard, chance = settings.hard_negatives, settings.random_negatives
    candidates = max(0.0, 1 - hard - chance)
    of_regions = {Kind.HARD_NEGATIVE: hard, Kind.RANDOM: chance, Kind.CANDIDATE: candidates}
    return of_regions, {Kind.CROP: 1 - hard, Kind.HARD_NEGATIVE: hard}


def _balanced(contexts: Contexts, indices: IntArray) -> FloatArray:
    """Return the weight of each index: scanners by the root of their number, slides likewise."""
    origins = contexts.origin[indices]
    names = sorted({origin.scanner for origin in contexts.origins})
    scanner_of = np.array([names.index(origin.scanner) for origin in contexts.origins])
    slides = np.bincount(origins, minlength=len(contexts.origins)).astype(np.float64)
    weights = 1 / np.sqrt(slides[origins])  # a slide of n contexts weighs sqrt(n)
    for scanner in np.unique(scanner_of[origins]):
        mine = scanner_of[origins] == scanner
        weights[mine] *= np.sqrt(mine.sum()) / weights[mine].sum()
    return weights
