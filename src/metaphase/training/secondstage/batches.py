"""Which contexts a step of training sees: a pure function of (seed, step).

Half of a batch, or what ``figures`` says, holds mitotic figures. Scanners are drawn by the square
root of what they have, slides of a scanner likewise, so that no laboratory decides alone. Crops
give diversity: they are ``crops`` of the figures and ``crop_negatives`` of the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaphase.arrays import Float32Array, FloatArray, IntArray, Pixels, Rng
from metaphase.training.patches.augment import compressed
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


class BatchSampler:
    """Draws the batches of a run."""

    def __init__(self, contexts: Contexts, settings: SecondStage, augment: Augment, seed: int) -> None:
        self.contexts, self.settings, self.augment, self.seed = contexts, settings, augment, seed
        shares = _shares(settings)
        self._choices: dict[bool, list[tuple[float, _Choice]]] = {True: [], False: []}
        for (figure, kind, crop), share in shares.items():
            indices = contexts.where(kind, crop=crop)
            if len(indices) and share > 0:
                edges = np.cumsum(_balanced(contexts, indices))
                self._choices[figure].append((share, _Choice(indices, edges)))

    def batch(self, step: int) -> Batch:
        """Return the batch of a step."""
        rng = rng_for(self.seed, _EPOCH, step, CONTEXTS)
        size = self.settings.batch_size
        figures = int(rng.binomial(size, self.settings.figures))
        chosen = np.array([self._one(rng, row < figures) for row in range(size)])
        pixels = np.stack([self._varied(self.contexts.pixels[i], rng) for i in chosen])
        return Batch(pixels, self.contexts.target[chosen], self.contexts.origin[chosen])

    def _one(self, rng: Rng, figure: bool) -> int:
        choices = self._choices[figure] or self._choices[not figure]
        shares = np.cumsum([share for share, _ in choices])
        at = np.searchsorted(shares, rng.random() * shares[-1], side="right")
        return choices[min(int(at), len(choices) - 1)][1].draw(rng)

    def _varied(self, pixels: Pixels, rng: Rng) -> Pixels:
        """Add what happens to whole images: a border near the figure, another JPEG pass."""
        if rng.random() < self.settings.borders:
            pixels = with_border(pixels, rng, self.contexts.mpp)
        jpeg = self.augment.jpeg
        if self.augment.strength and rng.random() < jpeg.probability:
            low, high = jpeg.quality
            quality = int(rng.integers(low, high, endpoint=True))
            pixels = compressed(pixels, quality, int(rng.choice([0, 2])))
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


def _shares(settings: SecondStage) -> dict[tuple[bool, Kind, bool], float]:
    """Return the share of (is a figure, kind, of crops) within figures and within the rest."""
    crops, rest = settings.crop_negatives, 1 - settings.crop_negatives
    hard, chance = settings.hard_negatives, settings.random_negatives
    return {
        (True, Kind.FIGURE, False): 1 - settings.crops,
        (True, Kind.FIGURE, True): settings.crops,
        (False, Kind.HARD_NEGATIVE, False): rest * hard,
        (False, Kind.RANDOM, False): rest * chance,
        (False, Kind.CANDIDATE, False): rest * (1 - hard - chance),
        (False, Kind.CROP, True): crops * (1 - hard),
        (False, Kind.HARD_NEGATIVE, True): crops * hard,
    }


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
