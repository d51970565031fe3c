"""The card of a network: during training, and of the finished model file."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from metaphase.figures import Label
from metaphase.labels.dataset import Dataset
from metaphase.models.card import ModelCard, Threshold
from metaphase.models.trainingimages import training_images
from metaphase.training.data.trainingdata import TrainingData
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import Source
from metaphase.training.record import version_of, versions

if TYPE_CHECKING:
    from metaphase.models.networks import Network

UNDECIDED = Threshold(value=0.5, chosen_on="nothing yet", protocol="provisional, while training")


def network_card(recipe: Recipe, network: Network, /, **fields: Any) -> ModelCard:
    """Return the card of a network in training, which is saved nowhere; ``fields`` are changes."""
    card: dict[str, Any] = {
        "name": recipe.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "metaphase": "",
        "network": network.kind,
        "network_options": network.options,
        "input": network.input,
        "head": network.head,
        "normalisation": network.normalisation,
        "merge_radius_um": recipe.validation.merge_radius_um,
        "threshold": UNDECIDED,
        "training_data": [],
        "recipe": {},
        "seed": recipe.seed,
        "versions": {},
    }
    return ModelCard(**(card | fields))


def finished_card(
    recipe: Recipe, network: Network, data: TrainingData, *, name: str | None = None
) -> ModelCard:
    """Return the card of a trained network, with the data, the recipe and the versions."""
    return network_card(
        recipe,
        network,
        name=name or recipe.name,
        metaphase=version_of("metaphase"),
        training_data=_described_sources(recipe, data),
        training_images=training_images(
            case.image for part in (data.training, data.crops) for case in part
        ),
        recipe=recipe.model_dump(mode="json"),
        versions=versions(),
    )


def _described_sources(recipe: Recipe, data: TrainingData) -> list[dict[str, Any]]:
    described = []
    for source in recipe.data.sources:
        same_role = [other for other in recipe.data.sources if other.role == source.role]
        cases = data.training if source.role == "regions" else data.crops
        if len(same_role) > 1:
            prefix = f"{source.name}/"
            cases = cases.where(lambda case, p=prefix: case.id.startswith(p))  # type: ignore[misc]
        described.append(_described(cases, source))
    return described


def _described(training: Dataset, source: Source) -> dict[str, Any]:
    cases = list(training)
    return {
        "name": source.name or training.name,
        "role": source.role,
        "terms": source.terms,
        "cases": len(cases),
        "mitotic_figures": sum(case.count(Label.MITOTIC) for case in cases),
        "hard_negatives": sum(case.count(Label.HARD_NEGATIVE) for case in cases),
        "scanners": sorted({case.domain("scanner") for case in cases}),
    }
