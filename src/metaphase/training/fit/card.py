"""The card of a network that is, or was, in training."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from metaphase.models.card import ModelCard, Threshold
from metaphase.training.recipe.recipe import Recipe

if TYPE_CHECKING:
    from metaphase.models.networks import Network

UNDECIDED = Threshold(value=0.5, chosen_on="nothing yet", protocol="provisional, while training")


def network_card(recipe: Recipe, network: Network, /, **more: Any) -> ModelCard:
    """Return a card with all that the recipe and the network tell; ``more`` are other fields.

    Without them it is that of a network in training, which is saved nowhere.
    """
    told: dict[str, Any] = {
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
    return ModelCard(**(told | more))
