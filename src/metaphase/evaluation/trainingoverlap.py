"""Cases that the model was trained on: their scores say nothing about new images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from metaphase.errors import ModelFileError
from metaphase.evaluation.pairing import Pair
from metaphase.models.card import ModelCard
from metaphase.models.modelfile import load_model, zoo_names
from metaphase.models.trainingimages import named_for_training, was_trained_on


def trained_on(pairs: Sequence[Pair], source: str = "") -> tuple[str, ...]:
    """Return the ids of the cases that their detector was trained on, as far as is known.

    The detections record it if the model's card lists its training images. Otherwise the card of a
    bundled model is consulted: by hash, or by the case ids that its recipe names. ``source`` is the
    file of the labels.
    """
    return tuple(pair.case.id for pair in pairs if _is_training_case(pair, source))


def _is_training_case(pair: Pair, source: str) -> bool:
    provenance = pair.detections.provenance
    if provenance.parameters.trained_on is not None:
        return provenance.parameters.trained_on
    card = _bundled_cards().get(provenance.model_id)
    if card is None:
        return False
    by_hash = was_trained_on(card, provenance.image_sha256)
    return named_for_training(card, pair.case, source) if by_hash is None else by_hash


@lru_cache(maxsize=1)
def _bundled_cards() -> dict[str, ModelCard]:
    """Return the cards of the bundled models by model id; damaged ones are left out."""
    cards = {}
    for name in zoo_names():
        try:
            model = load_model(name, verify=False)
        except ModelFileError:
            continue
        cards[model.id] = model.card
    return cards
