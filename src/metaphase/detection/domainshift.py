"""Domain shift: how far an image is from the training images of a model.

The card of a model holds the mean statistics of its training domains (``imagestatistics.py``). The
distance of an image x to a domain with mean m is, per component,

    d = sqrt(mean over the component's statistics of ((x - m) / spread)^2)

where ``spread`` is the standard deviation between training images of one domain. The distance to
the nearest domain counts. The ratio that is reported is d / limit. The limit is the 99th percentile
of the distances of training images to the domains computed without their own slide (with fewer than
100 images: the largest of these distances). An image with a ratio above 1 is shifted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.detection.imagestatistics import (
    COMPONENTS,
    Statistics,
    image_statistics,
    mean_statistics,
)
from metaphase.detection.plan import Plan
from metaphase.detection.runtime import Runtime
from metaphase.figures import Detections
from metaphase.models.card import DomainStatistics, TrainingDomain
from metaphase.models.modelfile import Model
from metaphase.provenance import ComponentShift, DomainShift
from metaphase.slides.slide import Slide

QUANTILE = 0.99
_LEAST_SPREAD = {"stain": 0.01, "sharpness": 0.03, "response": 0.05}
_LEAST_IMAGES = 3


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """The statistics of a training image. ``group`` is its slide.

    ``whole`` is False for crops: they count for the mean of their domain alone.
    """

    domain: str
    group: str
    statistics: Statistics
    whole: bool = True


def domain_statistics(
    images: Sequence[TrainingImage], by: str = "scanner"
) -> DomainStatistics | None:
    """Return the training domains for the card, None with too few images to set a limit.

    ``by`` names the kind of domain (scanner, laboratory, ...).
    """
    whole = [image for image in images if image.whole]
    measured = whole if len(whole) >= _LEAST_IMAGES else list(images)
    if len(measured) < _LEAST_IMAGES:
        return None
    spread = _spread(measured)
    limits = _limits(measured, images, spread)
    if not limits:
        return None
    return DomainStatistics(
        by=by, domains=tuple(_domains(images)), spread=spread, limit=limits, images=len(measured)
    )


def domain_shift(statistics: Mapping[str, float], domains: DomainStatistics) -> DomainShift | None:
    """Compare an image with the training domains; None where no component can be compared."""
    components = {
        name: ComponentShift(ratio=round(distance / domains.limit[name], 3), nearest=nearest)
        for name, (distance, nearest) in distances_to(
            statistics, domains.domains, domains.spread
        ).items()
        if name in domains.limit
    }
    if not components:
        return None
    largest = max(components, key=lambda name: components[name].ratio)
    measured = {"scores_shifted": domains.scores_shifted, "scores_others": domains.scores_others}
    return DomainShift(
        ratio=components[largest].ratio,
        component=largest,
        nearest=components[largest].nearest,
        training_images=domains.images,
        shifted=components[largest].ratio > 1,
        components=components,
        **{name: scores for name, scores in measured.items() if scores is not None},
    )


def with_domain_shift(
    detections: Detections,
    slide: Slide,
    plan: Plan,
    model: Model,
    runtime: Runtime,
    rows: FloatArray | None = None,
) -> Detections:
    """Return the detections with the domain shift of the slide in their provenance.

    ``rows`` are statistics of tiles that are known already (``Candidates.statistics``). Unchanged
    where the card of the model has no training domains.
    """
    domains = model.card.domains
    if domains is None:
        return detections
    statistics = image_statistics(slide, plan, runtime, rows)
    shift = None if statistics is None else domain_shift(statistics, domains)
    return detections.with_parameters(domain_shift=shift)


def distances_to(
    statistics: Mapping[str, float],
    domains: Sequence[TrainingDomain],
    spread: Mapping[str, float],
) -> dict[str, tuple[float, str]]:
    """Return, by component, the distance to the nearest domain and its name."""
    result: dict[str, tuple[float, str]] = {}
    for component, names in COMPONENTS.items():
        distances = [
            (_rms([(statistics[n] - domain.mean[n]) / spread[n] for n in names]), domain.name)
            for domain in domains
            if all(n in statistics and n in domain.mean and n in spread for n in names)
        ]
        if distances:
            result[component] = min(distances)
    return result


def _rms(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _limits(
    measured: Sequence[TrainingImage], images: Sequence[TrainingImage], spread: Mapping[str, float]
) -> dict[str, float]:
    """Return, by component, the limit of the distance: measured on left-out slides."""
    distances: dict[str, list[float]] = {}
    for image in measured:
        others = _without(image, images)
        if not any(other.domain == image.domain for other in others):
            continue
        nearest = distances_to(image.statistics, _domains(others), spread)
        for component, (distance, _) in nearest.items():
            distances.setdefault(component, []).append(distance)
    return {name: _limit(values) for name, values in distances.items()}


def _limit(distances: Sequence[float]) -> float:
    return max(float(np.quantile(distances, QUANTILE, method="higher")), 1e-6)


def _without(image: TrainingImage, images: Sequence[TrainingImage]) -> list[TrainingImage]:
    """Return the images of other slides, or all but ``image`` if its domain has one slide only."""
    groups = {other.group for other in images if other.domain == image.domain and other.whole}
    if len(groups) > 1:
        return [o for o in images if (o.domain, o.group) != (image.domain, image.group)]
    return [other for other in images if other is not image]


def _domains(images: Sequence[TrainingImage]) -> list[TrainingDomain]:
    """Return the domains with their means, over whole images where a domain has any."""
    result = []
    for name in dict.fromkeys(image.domain for image in images):
        members = [image for image in images if image.domain == name]
        members = [m for m in members if m.whole] or members
        mean = mean_statistics([member.statistics for member in members])
        assert mean is not None
        rounded = {key: round(value, 4) for key, value in mean.items()}
        result.append(TrainingDomain(name=name, images=len(members), mean=rounded))
    return result


def _spread(images: Sequence[TrainingImage]) -> dict[str, float]:
    """Return the standard deviation between images of one domain, pooled over the domains."""
    spread: dict[str, float] = {}
    domains = sorted({image.domain for image in images})
    for component, names in COMPONENTS.items():
        for name in names:
            values = [
                [i.statistics[name] for i in images if i.domain == domain and name in i.statistics]
                for domain in domains
            ]
            values = [group for group in values if group]
            count = sum(len(group) for group in values)
            if not count:
                continue
            squares = sum(float(np.sum((np.array(g) - np.mean(g)) ** 2)) for g in values)
            free = max(count - len(values), 1)
            spread[name] = round(max(float(np.sqrt(squares / free)), _LEAST_SPREAD[component]), 4)
    return spread
