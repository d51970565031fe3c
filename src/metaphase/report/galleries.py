"""Galleries of figures and detections: which ones are shown, and their image crops."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from metaphase.arrays import Pixels
from metaphase.errors import MetaphaseError
from metaphase.evaluation.casescore import MISTAKES, CaseOutcome
from metaphase.evaluation.scores import Scores
from metaphase.labels.imagefinder import check_image_folder
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.slides.slide import Slide
from metaphase.units import um_to_px

CROP_MPP = 0.25
CROP_PX = 128
QUALITY = 85
OVERVIEW_PX = 560


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One figure or detection, in full-resolution pixels of a case. ``kind`` is tp, fp or fn."""

    outcome: CaseOutcome
    x_px: float
    y_px: float
    kind: str
    caption: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """Places of one kind, with a title and an explanation."""

    title: str
    note: str
    places: tuple[Place, ...]


def galleries(scores: Scores, most: int = 24) -> list[Gallery]:
    """Return the galleries of a model: errors first, then borderline cases, then true positives."""
    return [
        Gallery(
            "False positives",
            "Detections without a labelled figure, highest scores first.",
            tuple(_false(scores, most)),
        ),
        Gallery(
            "False negatives",
            "Labelled figures that were missed, those without any detection near them first.",
            tuple(_missed(scores, most)),
        ),
        Gallery(
            "Borderline",
            "Detections with scores nearest to the threshold, on either side.",
            tuple(_borderline(scores, most)),
        ),
        Gallery(
            "True positives",
            "Detected figures with the highest scores.",
            tuple(_true(scores, most)),
        ),
    ]


def _rows(scores: Scores) -> Iterator[tuple[CaseOutcome, int]]:
    for outcome in scores.outcomes:
        for i in range(len(outcome.score)):
            yield outcome, i


def _false(scores: Scores, most: int) -> list[Place]:
    rows = [(o, i) for o, i in _rows(scores) if o.above_threshold[i] and not o.true_positive[i]]
    rows.sort(key=lambda row: -row[0].score[row[1]])
    return [_place(o, i, "fp", f" on: {MISTAKES[o.mistake[i]]}") for o, i in rows[:most]]


def _true(scores: Scores, most: int) -> list[Place]:
    rows = [(o, i) for o, i in _rows(scores) if o.true_positive[i]]
    rows.sort(key=lambda row: -row[0].score[row[1]])
    return [_place(o, i, "tp") for o, i in rows[:most]]


def _borderline(scores: Scores, most: int) -> list[Place]:
    rows = list(_rows(scores))
    rows.sort(key=lambda row: abs(row[0].score[row[1]] - row[0].case.threshold))
    chosen = sorted(rows[:most], key=lambda row: -row[0].score[row[1]])
    return [
        _place(o, i, _border_kind(o, i), "" if o.above_threshold[i] else ", below")
        for o, i in chosen
    ]


def _border_kind(outcome: CaseOutcome, i: int) -> str:
    if outcome.above_threshold[i]:
        return "tp" if outcome.true_positive[i] else "fp"
    return "fn" if outcome.gains.fp[i] == 0 else "none"


def _missed(scores: Scores, most: int) -> list[Place]:
    missed = []
    for outcome in scores.outcomes:
        for x, y in outcome.truth[~outcome.detected]:
            best = _best_near(outcome, x, y)
            caption = "nothing near" if best is None else f"best score near it {best:.2f}"
            missed.append((best or 0.0, Place(outcome, float(x), float(y), "fn", caption)))
    missed.sort(key=lambda row: row[0])
    return [place for _, place in missed[:most]]


def _best_near(outcome: CaseOutcome, x: float, y: float) -> float | None:
    radius = um_to_px(MATCH_RADIUS_UM, outcome.case.mpp)
    near = np.hypot(outcome.points[:, 0] - x, outcome.points[:, 1] - y) <= radius
    return float(outcome.score[near].max()) if near.any() else None


def _place(outcome: CaseOutcome, i: int, kind: str, more: str = "") -> Place:
    x, y = outcome.points[i]
    return Place(outcome, float(x), float(y), kind, f"score {outcome.score[i]:.2f}{more}")


@dataclass
class Pictures:
    """Reads crops and overviews as data URLs; every image that cannot be read is reported once.

    ``images`` is a folder that is searched for files that are no longer at their old path. Raises
    LabelError where it is no folder.
    """

    images: Path | None = None
    _problems: list[str] = field(default_factory=list)
    _missing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.images is not None:
            check_image_folder(self.images)

    @property
    def problems(self) -> list[str]:
        """Sentences about images that could not be read."""
        names = sorted(self._missing)
        if not names:
            return list(self._problems)
        some = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        is_ = "is" if len(names) == 1 else "are"
        missing = f"{some} {is_} missing: name the folder of the images with --images"
        return [missing, *self._problems]

    def crops(self, places: Iterable[Place]) -> dict[Place, str]:
        """Return the crop of each place that can be read, as a data URL."""
        return {place: jpeg(crop, QUALITY) for place, crop in self.pixels(places).items()}

    def pixels(self, places: Iterable[Place], side_px: int = CROP_PX) -> dict[Place, Pixels]:
        """Return the crop [side_px, side_px, 3] at ``CROP_MPP`` around each place that can be read.

        Each image is opened once.
        """
        by_image: dict[str, list[Place]] = {}
        for place in places:
            by_image.setdefault(place.outcome.image, []).append(place)
        crops = {}
        for group in by_image.values():
            with ExitStack() as stack:
                slide = self._open(group[0].outcome, stack)
                if slide is None:
                    continue
                for place in group:
                    crop = self._crop(slide, place, side_px)
                    if crop is not None:
                        crops[place] = crop
        return crops

    def overview(self, outcome: CaseOutcome) -> tuple[str, int, int] | None:
        """Return a thumbnail of a case as a data URL, and its full size in px."""
        with ExitStack() as stack:
            slide = self._open(outcome, stack)
            if slide is None:
                return None
            try:
                return jpeg(slide.thumbnail(OVERVIEW_PX), 60), slide.width_px, slide.height_px
            except MetaphaseError as error:
                self._add_problem(str(error))
        return None

    def _crop(self, slide: Slide, place: Place, side_px: int) -> Pixels | None:
        half = side_px * CROP_MPP / slide.mpp / 2
        corner = place.x_px - half, place.y_px - half
        try:
            return slide.read(*corner, side_px, side_px, CROP_MPP)
        except MetaphaseError as error:
            self._add_problem(str(error))
            return None

    def _open(self, outcome: CaseOutcome, stack: ExitStack) -> Slide | None:
        from metaphase.slides.open import open_slide

        path = Path(outcome.image)
        if self.images is not None and not os.path.isfile(path):
            path = self.images / path.name
        if not os.path.isfile(path):
            self._missing.add(path.name)
            return None
        try:
            return stack.enter_context(open_slide(path, known_mpp=outcome.case.mpp))
        except MetaphaseError as error:
            self._add_problem(str(error))
            return None

    def _add_problem(self, problem: str) -> None:
        if problem not in self._problems:
            self._problems.append(problem)


def jpeg(pixels: Pixels, quality: int) -> str:
    """Return pixels as the data URL of a JPEG."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def marks(outcome: CaseOutcome) -> list[tuple[str, float, float]]:
    """Return kind and position of the detections and missed figures of a case, for an overview."""
    kept = np.flatnonzero(outcome.above_threshold)
    rows = [
        ("tp" if right else "fp", float(x), float(y))
        for (x, y), right in zip(outcome.points[kept], outcome.true_positive[kept], strict=True)
    ]
    return rows + [("fn", float(x), float(y)) for x, y in outcome.truth[~outcome.detected]]
