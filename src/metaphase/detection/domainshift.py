"""Is this slide like those that the model was trained on? A number, calibrated on the training.

The card of a model describes its training domains (``models/card.py``). The distance of an image
from a domain is the root mean square of its numbers' differences from the domain's mean, in units
of the spread between training images of one domain; that of the nearest domain counts. What is told
is this distance over the ``limit``: the 99th percentile of the distances of training images, each
against the domains without its own slide (with fewer than 100 images: the farthest of them). Above
1 it is farther than the training images are from each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
from metaphase.slides.slide import Slide

PARAMETER = "familiarity"
"""What it is called in the provenance's parameters."""

QUANTILE = 0.99
_LEAST_SPREAD = {"stain": 0.01, "sharpness": 0.03, "response": 0.05}
_LEAST_IMAGES = 3


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """One training image. ``whole`` is false for crops, which give a domain's mean and no more."""

    domain: str
    group: str
    numbers: Statistics
    whole: bool = True


def domain_statistics(
    images: Sequence[TrainingImage], by: str = "scanner"
) -> DomainStatistics | None:
    """Return what a card tells of the training domains; None with too few images to calibrate."""
    whole = [image for image in images if image.whole]
    measured = whole if len(whole) >= _LEAST_IMAGES else list(images)
    if len(measured) < _LEAST_IMAGES:
        return None
    spread = _spread(measured)
    distances: dict[str, list[float]] = {}
    for image in measured:
        rest = _without(image, images)
        if not any(other.domain == image.domain for other in rest):
            continue
        left = distances_to(image.numbers, _domains(rest), spread)
        for component, (distance, _) in left.items():
            distances.setdefault(component, []).append(distance)
    limits = {name: _limit(values) for name, values in distances.items() if values}
    if not limits:
        return None
    return DomainStatistics(
        by=by, domains=tuple(_domains(images)), spread=spread, limit=limits, images=len(measured)
    )


def compare(numbers: Statistics, statistics: DomainStatistics) -> dict[str, Any]:
    """Return how an image compares: what the provenance holds and a warning is made of.

    ``times`` is the largest of the components' distances over their limits, ``component`` which it
    is, ``nearest`` the domain that is nearest in it.
    """
    found = distances_to(numbers, statistics.domains, statistics.spread)
    parts = {
        name: {"times": round(distance / statistics.limit[name], 3), "nearest": nearest}
        for name, (distance, nearest) in found.items()
        if name in statistics.limit
    }
    if not parts:
        return {}
    worst = max(parts, key=lambda name: float(str(parts[name]["times"])))
    return {
        "times": parts[worst]["times"],
        "component": worst,
        "nearest": parts[worst]["nearest"],
        "training_images": statistics.images,
        "unfamiliar": float(str(parts[worst]["times"])) > 1,
        "components": parts,
    }


def with_domain_shift(
    found: Detections, slide: Slide, plan: Plan, model: Model, runtime: Runtime
) -> Detections:
    """Return detections whose provenance says how the image compares with the training domains.

    A model whose card does not tell of them leaves everything as it is.
    """
    statistics = model.card.domains
    if statistics is None:
        return found
    numbers = image_statistics(slide, plan, runtime)
    told = {} if numbers is None else compare(numbers, statistics)
    parameters = {**found.provenance.parameters, PARAMETER: told}
    return found.made_by(parameters=parameters)


def shift_warning(found: Detections) -> str | None:
    """Return the sentence that a user should read, None where the image is familiar."""
    told = found.provenance.parameters.get(PARAMETER)
    if not isinstance(told, Mapping) or not told.get("unfamiliar"):
        return None
    return (
        f"{found.provenance.image}: unlike the training images in its {told['component']}, "
        f"{told['times']:.1f} times as far from the nearest scanner trained on ({told['nearest']}) "
        f"as the farthest of {told['training_images']} training images: check the result, or adapt "
        "the model with 'metaphase adapt'"
    )


def distances_to(
    numbers: Mapping[str, float],
    domains: Sequence[TrainingDomain],
    spread: Mapping[str, float],
) -> dict[str, tuple[float, str]]:
    """Return by component the distance of the nearest domain, and its name."""
    result: dict[str, tuple[float, str]] = {}
    for component, names in COMPONENTS.items():
        found = [
            (_rms([(numbers[n] - domain.mean[n]) / spread[n] for n in names]), domain.name)
            for domain in domains
            if all(n in numbers and n in domain.mean and n in spread for n in names)
        ]
        if found:
            result[component] = min(found)
    return result


def _rms(values: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _limit(distances: Sequence[float]) -> float:
    return max(float(np.quantile(distances, QUANTILE, method="higher")), 1e-6)


def _without(image: TrainingImage, images: Sequence[TrainingImage]) -> list[TrainingImage]:
    """Return the images that are not of the same slide; where its domain has no other slide, all
    but the image itself."""
    groups = {other.group for other in images if other.domain == image.domain and other.whole}
    if len(groups) > 1:
        return [o for o in images if (o.domain, o.group) != (image.domain, image.group)]
    return [other for other in images if other is not image]


def _domains(images: Sequence[TrainingImage]) -> list[TrainingDomain]:
    """Return the domains with their means: of whole images where a domain has any."""
    result = []
    for name in dict.fromkeys(image.domain for image in images):
        members = [image for image in images if image.domain == name]
        members = [m for m in members if m.whole] or members
        mean = mean_statistics([member.numbers for member in members])
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
                [i.numbers[name] for i in images if i.domain == domain and name in i.numbers]
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
