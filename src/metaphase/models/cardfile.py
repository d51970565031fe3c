"""The card of a model file on disk, and the id that it gives the model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError

from metaphase.errors import ModelFileError, Problem
from metaphase.files import open_regular
from metaphase.models.card import ModelCard, SecondStage

CARD_NAME = "card.json"

_MAX_CARD_BYTES = 16 << 20
_LATER_FIELDS = (
    *("command", "limitations", "second_stage", "domains", "training_images"),
    "atypical",
    "foreign",
)
_LATER_FIELDS_OF_SECOND_STAGE = ("floor", "stain", "score_normalisation")


def read_card(path: Path) -> ModelCard:
    """Read a ``card.json``. Raises ModelFileError, which names the fields that are wrong."""
    try:
        with open_regular(path) as stream:
            data = stream.read(_MAX_CARD_BYTES + 1)
        if len(data) > _MAX_CARD_BYTES:
            raise ModelFileError.of(path, f"has more than {_MAX_CARD_BYTES >> 20} MiB")
        content = json.loads(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelFileError.of(
            path,
            f"cannot be read: {error}",
            way_out="copy the whole folder again from where it came",
        ) from error
    version = content.get("format") if isinstance(content, dict) else None
    if isinstance(version, int) and version > 1:
        raise ModelFileError.of(
            path,
            f"is of format {version}; this version of metaphase reads 1",
            way_out="upgrade metaphase",
        )
    try:
        return ModelCard.model_validate(content)
    except ValidationError as error:
        raise ModelFileError(
            Problem(str(path), ".".join(map(str, item["loc"])), item["msg"])
            for item in error.errors()
        ) from error
    except RecursionError as error:
        raise ModelFileError.of(path, "is nested too deeply") from error


def card_id(card: ModelCard) -> str:
    """Return the SHA-256 of a card's content, whatever its layout on disk.

    The ids of older models stay the same: fields that were added later count only where they differ
    from their default, and the second stage counts under the name that it had in version 0.1.
    """
    content = card.model_dump(mode="json")
    stage = card.second_stage
    for name in _LATER_FIELDS:
        if not content[name]:
            del content[name]
    if stage is not None:
        for name in _LATER_FIELDS_OF_SECOND_STAGE:
            if getattr(stage, name) == SecondStage.model_fields[name].default:
                del content["second_stage"][name]
        content["second"] = content.pop("second_stage")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
