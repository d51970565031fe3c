"""Image statistics of the training domains, for the card: detection measures domain shift."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from metaphase.detection.domainshift import TrainingImage, domain_statistics
from metaphase.detection.imagestatistics import (
    Statistics,
    image_statistics,
    mean_statistics,
    tile_statistics,
)
from metaphase.detection.plan import Settings, make_plan
from metaphase.detection.runtime import Runtime, open_runtime
from metaphase.labels.dataset import Case, Dataset
from metaphase.models.card import DomainStatistics
from metaphase.models.modelfile import Model, rewrite_card
from metaphase.slides.open import open_case

MOST_IMAGES = 200
"""Images of a domain that are measured; more would change its statistics little."""
CROPS_A_GROUP = 12
_MIDDLE = 0.4
"""Part of a crop's side, in its middle, that is excluded: a figure is no typical tissue."""


def describe_domains(
    model: Model,
    regions: Dataset,
    crops: Dataset | None = None,
    *,
    by: str = "scanner",
    runtime: Runtime | None = None,
) -> DomainStatistics | None:
    """Return the statistics of the images that a model was trained on; None of too few.

    ``regions`` are whole images, measured as in detection; of ``crops`` only stain and sharpness
    around the figure are measured.
    """
    runtime = runtime or open_runtime(model)
    images = [*_regions(model, regions, by, runtime), *_crops(model, crops or Dataset(()), by)]
    return domain_statistics(images, by)


def write_domains(model: Model, statistics: DomainStatistics | None) -> Model:
    """Write the statistics into a model's card and return the changed model."""
    return rewrite_card(model, domains=statistics)


def _regions(model: Model, cases: Dataset, by: str, runtime: Runtime) -> Iterator[TrainingImage]:
    for name, members in cases.by_domain(by).items():
        for case in _spread_out(members.cases, MOST_IMAGES):
            with open_case(case) as slide:
                numbers = image_statistics(slide, make_plan(slide, model, Settings()), runtime)
            if numbers is not None:
                yield TrainingImage(name, case.domain("group"), numbers)


def _crops(model: Model, cases: Dataset, by: str) -> Iterator[TrainingImage]:
    for name, members in cases.by_domain(by).items():
        groups = list(members.by_domain("group").items())
        for group, crops in [groups[i] for i in _steps(len(groups), MOST_IMAGES)]:
            parts = [_crop(case, model) for case in _spread_out(crops.cases, CROPS_A_GROUP)]
            numbers = mean_statistics([part for part in parts if part is not None])
            if numbers is not None:
                yield TrainingImage(name, group, numbers, whole=False)


def _crop(case: Case, model: Model) -> Statistics | None:
    with open_case(case) as slide:
        width = round(slide.width_px * slide.mpp / model.card.input.mpp)
        height = round(slide.height_px * slide.mpp / model.card.input.mpp)
        pixels = slide.read(0, 0, width, height, model.card.input.mpp)
    without = np.zeros(pixels.shape[:2], bool)
    rim_x, rim_y = (round(side * (1 - _MIDDLE) / 2) for side in (width, height))
    without[rim_y : height - rim_y, rim_x : width - rim_x] = True
    return tile_statistics(pixels, without)


def _spread_out(cases: Sequence[Case], most: int) -> list[Case]:
    return [cases[i] for i in _steps(len(cases), most)]


def _steps(length: int, most: int) -> list[int]:
    count = min(length, most)
    return [int((i + 0.5) * length / count) for i in range(count)]
