"""Everything that the second stage learns from, cut out once and kept in memory.

A context is the square around a place, larger than the window that the network sees. Windows
are drawn from it rotated, scaled and shifted, so that no image is read while the network trains.

The places are the labelled figures, the labelled hard negatives, the false candidates of the
detector, and random places, all of regions that are labelled completely; and the figures of crops
with places beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np

from metaphase.arrays import Float32Array, FloatArray, IntArray, Pixels, Rng
from metaphase.boxes import as_points, distances
from metaphase.detection.secondstage import read_window
from metaphase.errors import RecipeError
from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.models.card import InputSpec
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.slides.array import ArraySlide
from metaphase.slides.mpp import MppHints
from metaphase.slides.open import open_case
from metaphase.slides.slide import Slide
from metaphase.training.patches.crops import usable_crops
from metaphase.training.patches.picture import valid_part
from metaphase.training.patches.sampling import CONTEXTS, rng_for
from metaphase.training.recipe.sections import SecondStage

CONTEXT_WINDOWS = 1.75
"""Side of a context in windows: a window that is rotated by 45 degrees, a tenth larger and shifted
by a tenth of its side lies inside."""
CROP_RIM_UM = 6.0
"""Places of crops keep this far from the crop's sides."""
_TRIES = 40


class Kind(StrEnum):
    """Why a place was taken."""

    FIGURE = "figure"
    HARD_NEGATIVE = "hard negative"
    CANDIDATE = "candidate"
    RANDOM = "random"
    CROP = "beside a figure of a crop"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a context comes from. ``group`` is the slide."""

    scanner: str
    group: str
    crop: bool


@dataclass(frozen=True, slots=True, eq=False)
class Contexts:
    """Contexts and what a network should answer.

    pixels: uint8 [n, side, side, 3] at ``mpp``; target: [n] in [0, 1], how much of a mitotic figure
    is in the middle; kind: [n]; origin: [n], index of ``origins``.
    """

    pixels: Pixels
    target: Float32Array
    kind: tuple[Kind, ...]
    origin: IntArray
    origins: tuple[Origin, ...]
    mpp: float

    def __len__(self) -> int:
        return len(self.pixels)

    def where(self, kind: Kind, *, crop: bool) -> IntArray:
        """Return the indices of one kind, of crops or of regions."""
        of_crop = np.array([origin.crop for origin in self.origins])[self.origin]
        return np.flatnonzero((np.array(self.kind) == kind) & (of_crop == crop))


def context_side(spec: InputSpec) -> int:
    """Return the side of a context in pixels, an even number, for a network's windows."""
    return 2 * int(np.ceil(CONTEXT_WINDOWS * spec.tile_px / 2))


@dataclass
class _Collector:
    side: int
    mpp: float
    settings: SecondStage
    pixels: list[Pixels] = field(default_factory=list)
    target: list[float] = field(default_factory=list)
    kind: list[Kind] = field(default_factory=list)
    origin: list[int] = field(default_factory=list)
    origins: dict[Origin, int] = field(default_factory=dict)

    def add(
        self, slide: Slide, points: Iterable[Sequence[float]], target: float, kind: Kind, at: Origin
    ) -> None:
        number = self.origins.setdefault(at, len(self.origins))
        for x, y in points:
            self.pixels.append(read_window(slide, float(x), float(y), self.side, self.mpp))
            self.target.append(target)
            self.kind.append(kind)
            self.origin.append(number)

    def add_figures(
        self, slide: Slide, figures: Iterable[Figure], offset: FloatArray, at: Origin
    ) -> None:
        for figure in figures:
            hard = figure.label == Label.HARD_NEGATIVE
            kind = Kind.HARD_NEGATIVE if hard else Kind.FIGURE
            place = (figure.x_px - offset[0], figure.y_px - offset[1])
            self.add(slide, [place], self.target_of(figure), kind, at)

    def target_of(self, figure: Figure) -> float:
        """Return the label, moved towards the readers' confidence where it is known."""
        label = float(figure.label == Label.MITOTIC)
        if figure.confidence is None:
            return label
        return label + self.settings.confidence_weight * (figure.confidence - label)

    def done(self) -> Contexts:
        return Contexts(
            np.stack(self.pixels),
            np.array(self.target, np.float32),
            tuple(self.kind),
            np.array(self.origin, np.int64),
            tuple(self.origins),
            self.mpp,
        )


def collect_contexts(
    regions: Dataset,
    crops: Dataset,
    candidates: Mapping[str, FloatArray],
    settings: SecondStage,
    spec: InputSpec,
    seed: int,
) -> Contexts:
    """Cut out all contexts. ``candidates`` are the detector's, best first, by case id: [n, 2], px.

    The same arguments give the same contexts. Raises RecipeError where the regions hold no mitotic
    figure, and what slides raise.
    """
    side = context_side(spec)
    collector = _Collector(side, spec.mpp, settings)
    nothing = as_points([])
    for number, case in enumerate(regions):
        rng = rng_for(seed, 0, number, CONTEXTS)
        with open_case(case) as slide:
            _add_region(collector, case, slide, candidates.get(case.id, nothing), rng)
    if Kind.FIGURE not in collector.kind:
        raise RecipeError.of(
            "recipe",
            "the training regions hold no mitotic figure, so a second stage cannot learn",
            record="second_stage",
            way_out="leave out [second_stage]",
        )
    for number, (case, image, mpp) in enumerate(usable_crops(crops) if len(crops) else ()):
        _add_crop(collector, case, image, mpp, rng_for(seed, 1, number, CONTEXTS))
    return collector.done()


def _add_region(
    collector: _Collector, case: Case, slide: Slide, candidates: FloatArray, rng: Rng
) -> None:
    at = Origin(case.domain("scanner"), case.domain("group"), crop=False)
    collector.add_figures(slide, case.figures, np.zeros(2), at)
    places = as_points([(f.x_px, f.y_px) for f in case.figures])
    # What matches a labelled place in scoring is no false candidate.
    candidates = away_from(places, as_points(candidates), slide.mpp, MATCH_RADIUS_UM)
    area_mm2 = slide.width_px * slide.height_px * slide.mpp**2 / 1e6
    most = int(np.ceil(collector.settings.candidates_per_mm2 * area_mm2))
    collector.add(slide, candidates[:most], 0.0, Kind.CANDIDATE, at)
    count = int(np.ceil(collector.settings.random_per_mm2 * area_mm2))
    drawn = rng.uniform([0, 0], [slide.width_px, slide.height_px], (count, 2))
    drawn = away_from(places, drawn, slide.mpp, MATCH_RADIUS_UM)
    collector.add(slide, drawn, 0.0, Kind.RANDOM, at)


def _add_crop(collector: _Collector, case: Case, image: Pixels, mpp: float, rng: Rng) -> None:
    x1, y1, x2, y2 = valid_part(image)
    size, rim = np.array([x2 - x1, y2 - y1]), CROP_RIM_UM / mpp
    if (size <= 2 * rim).any():
        return
    at = Origin(case.domain("scanner"), case.domain("group"), crop=True)
    slide = ArraySlide(
        np.ascontiguousarray(image[y1:y2, x1:x2]), Path(str(case.image)), MppHints(user=mpp)
    )
    offset = np.array([x1, y1], dtype=np.float64)
    places = as_points([(f.x_px, f.y_px) for f in case.figures]) - offset
    inside = np.asarray(((places >= rim) & (places <= size - rim)).all(axis=1))
    kept = [case.figures[i] for i in np.flatnonzero(inside)]
    collector.add_figures(slide, kept, offset, at)
    drawn = rng.uniform(rim, size - rim, (_TRIES, 2))
    beside = away_from(places, drawn, mpp, collector.settings.negative_distance_um)[:1]
    collector.add(slide, beside, 0.0, Kind.CROP, at)


def away_from(places: FloatArray, points: FloatArray, mpp: float, radius_um: float) -> FloatArray:
    """Return those of the points [n, 2] that are farther than a radius from every place [m, 2]."""
    if not len(places) or not len(points):
        return points
    far = distances(points, places).min(axis=1) * mpp > radius_um
    return np.asarray(points[far])
