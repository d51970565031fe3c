"""Windows for the network of the second stage: figures and what is taken for one.

Half of them hold a mitotic figure in the middle, the others something else: a place that the
detector took for a figure in a region labelled all over, the darkest of a few places there, a
labelled hard negative, or a piece of a crop with its figure away from the middle. Colours are
exchanged between regions and crops, in both directions and whatever is in the window, so that a
scanner's look tells nothing. A window never reaches over the side of a crop.

Window ``index`` is a pure function of (seed, index).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from metaphase.boxes import distances
from metaphase.detection.secondstage import read_window
from metaphase.errors import RecipeError
from metaphase.figures import Label
from metaphase.models.card import InputSpec
from metaphase.training.patches.augment import Float, vary
from metaphase.training.patches.colourtransfer import Look, look_of, recolour
from metaphase.training.patches.crops import Crops
from metaphase.training.patches.patch import SlidePool
from metaphase.training.patches.picture import Whole, darkest
from metaphase.training.patches.sampling import WINDOWS, SamplingCase, rng_for
from metaphase.training.patches.slidestains import slide_stains
from metaphase.training.patches.symmetry import symmetry
from metaphase.training.recipe.sections import Augment, SecondStage

Pixels = NDArray[np.uint8]
FloatArray = NDArray[np.float64]
Rng = np.random.Generator

_DARKEST_OF = 6
_TRIES = 60
_SPOT_PX = 4  # half the side of the square whose darkness counts
_LOOK_PX = 512


class Windows:
    """``length`` windows: (pixels [side, side, 3], whether a mitotic figure is in the middle).

    ``mistakes`` are places that were taken for figures, by case id; those near a figure are left
    out. Raises RecipeError where there are no figures.
    """

    def __init__(
        self,
        cases: Sequence[SamplingCase],
        slides: SlidePool,
        mistakes: Mapping[str, FloatArray],
        settings: SecondStage,
        spec: InputSpec,
        augment: Augment,
        *,
        crops: Crops | None = None,
        seed: int = 0,
    ) -> None:
        self.settings, self.spec, self.augment, self.seed = settings, spec, augment, seed
        self.slides, self.crops = slides, crops
        self.stains = slide_stains(augment, slides)
        nothing = np.zeros((0, 2))
        self.cases = [case.with_mined(mistakes.get(case.id, nothing)) for case in cases]
        self._figures = _listed([case.mitotic for case in self.cases])
        self._mistakes = _listed(
            [np.concatenate([case.hard_negative, case.mined]) for case in self.cases]
        )
        if not len(self._figures):
            raise RecipeError.of(
                "recipe",
                "the training regions hold no mitotic figure, so a second stage cannot learn",
                record="second",
                way_out="leave out [second_stage]",
            )
        self._looks = [self._look(case) for case in self.cases]

    def __len__(self) -> int:
        return self.settings.windows

    def __getitem__(self, index: int) -> tuple[Pixels, bool]:
        rng = rng_for(self.seed, 0, index, WINDOWS)
        figure = bool(rng.random() < self.settings.figures)
        stains = None
        if self.crops is not None and rng.random() < self.settings.crops:
            image = self._of_crop(rng, figure)
        else:
            image, stains = self._of_region(rng, figure)
        image = symmetry(image, int(rng.integers(8)))
        return vary(image, self.augment, rng, stains=stains), figure

    # --- regions

    def _of_region(self, rng: Rng, figure: bool) -> tuple[Pixels, Float | None]:
        """Return a window, and the stains of its slide if it is in its own and they are asked."""
        if figure:
            n, x, y = self._figures[rng.integers(len(self._figures))]
        elif not len(self._mistakes) or rng.random() < self.settings.random_negatives:
            n = rng.integers(len(self.cases))
            x, y = self._dark(rng, self.cases[int(n)])
        else:
            n, x, y = self._mistakes[rng.integers(len(self._mistakes))]
        case = self.cases[int(n)]
        mpp = self._mpp(rng)
        x, y = np.array([x, y]) + self._shift(rng) / case.mpp
        slide = self.slides[case.id]
        image = read_window(slide, float(x), float(y), self.spec.tile_px, mpp)
        if self.crops is None or rng.random() >= self.settings.colour_transfer:
            return image, self.stains[case.id] if self.stains else None
        wanted = self.crops.look(self.crops.group(rng))
        return recolour(image, self._looks[int(n)], wanted, float(rng.uniform(0.5, 1))), None

    def _dark(self, rng: Rng, case: SamplingCase) -> FloatArray:
        """Return the darkest of a few places that are away from every figure."""
        size = np.array([case.width_px, case.height_px])
        places = rng.uniform(0, size, (_TRIES, 2))
        if len(case.mitotic):
            away = distances(places, case.mitotic).min(axis=1) * case.mpp
            places = places[away > case.ignore_radius_um]
        slide = self.slides[case.id]
        few = places[:_DARKEST_OF] if len(places) else size[None] / 2
        r, side = _SPOT_PX, 2 * _SPOT_PX
        dark = [slide.read(x - r, y - r, side, side).mean() for x, y in few.tolist()]
        return np.asarray(few[int(np.argmin(dark))], dtype=np.float64)

    def _look(self, case: SamplingCase) -> Look:
        return look_of(self.slides[case.id].thumbnail(_LOOK_PX))

    # --- crops

    def _of_crop(self, rng: Rng, figure: bool) -> Pixels:
        assert self.crops is not None
        group = self.crops.group(rng)
        whole = self.crops.whole(rng, group)
        mpp = self._mpp(rng)
        half = self.spec.tile_px * mpp / whole.mpp / 2
        centre = self._in_crop(rng, whole, figure, half)
        image = _window(whole.image, centre, half, self.spec.tile_px)
        if rng.random() >= self.settings.colour_transfer:
            return image
        wanted = self._looks[int(rng.integers(len(self._looks)))]
        return recolour(image, self.crops.look(group), wanted, float(rng.uniform(0.5, 1)))

    def _in_crop(self, rng: Rng, whole: Whole, figure: bool, half: float) -> FloatArray:
        """Return the middle of a window inside a crop."""
        mitotic = whole.points[whole.labels == Label.MITOTIC.code]
        others = whole.points[whole.labels != Label.MITOTIC.code]
        height, width = whole.image.shape[:2]
        low = np.minimum(half, np.array([width, height]) / 2)
        high = np.array([width, height]) - low
        if figure or (len(others) and rng.random() < 0.5):
            known = mitotic if figure else others
            aim = known[rng.integers(len(known))] + self._shift(rng) / whole.mpp
            return np.asarray(np.clip(aim, low, high))
        places = rng.uniform(low, high, (_TRIES, 2))
        away = distances(places, mitotic).min(axis=1) * whole.mpp
        if not (away > self.settings.negative_distance_um).any():  # a corner is as far as it gets
            corners = np.array([[x, y] for x in (low[0], high[0]) for y in (low[1], high[1])])
            away = distances(corners, mitotic).min(axis=1)
            return np.asarray(corners[int(np.argmax(away))])
        far = places[away > self.settings.negative_distance_um][:_DARKEST_OF]
        return darkest(whole.image, far, _SPOT_PX)

    # --- both

    def _shift(self, rng: Rng) -> FloatArray:
        """Return how far off the middle is, um: a detector's point is not the label's."""
        return rng.uniform(-self.settings.jitter_um, self.settings.jitter_um, 2)

    def _mpp(self, rng: Rng) -> float:
        jitter = self.augment.mpp_jitter
        return self.spec.mpp * float(np.exp(rng.uniform(-jitter, jitter)))


def mined_places(tables: Sequence[Mapping[str, FloatArray]]) -> dict[str, FloatArray]:
    """Join several tables of places by case."""
    ids = dict.fromkeys(case for table in tables for case in table)
    return {
        case: np.concatenate([table[case] for table in tables if case in table]) for case in ids
    }


def _listed(points: Sequence[FloatArray]) -> FloatArray:
    """Return rows (number of the case, x, y)."""
    rows = [np.column_stack([np.full(len(p), n), p]) for n, p in enumerate(points)]
    return np.concatenate(rows) if rows else np.zeros((0, 3))


def _window(image: Pixels, centre: FloatArray, half: float, side: int) -> Pixels:
    """Return a window of an array at another scale, uint8 [side, side, 3]."""
    height, width = image.shape[:2]
    x1, y1 = np.maximum(centre - half, 0)
    x2, y2 = min(x1 + 2 * half, width), min(y1 + 2 * half, height)
    left, top = int(x1), int(y1)
    right, bottom = int(np.ceil(x2)), int(np.ceil(y2))
    part = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
    box = (x1 - left, y1 - top, x2 - left, y2 - top)
    return np.asarray(part.resize((side, side), Image.Resampling.BICUBIC, box=box))
