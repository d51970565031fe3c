"""Which images a model was trained on: a list on the card, to warn of scores on them.

The card holds the first digits of the SHA-256 of each image file. Cards of version 0.1 have no such
list; their recipe names the training cases by patterns of ids.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from metaphase.imagefiles.parts import sha256_of_slide
from metaphase.labels.dataset import DOMAINS, Case
from metaphase.models.card import ModelCard

DIGITS = 16
"""Hexadecimal digits of each hash on the card: 64 bits, enough to make coincidences impossible."""

_LEAST_LITERAL = 3  # characters of a pattern that make an id distinctive without the data set


def training_images(paths: Iterable[Path | None]) -> tuple[str, ...]:
    """Return the hashes of the images that exist, sorted, for the card."""
    existing = {path for path in paths if path is not None and os.path.isfile(path)}
    return tuple(sorted({sha256_of_slide(path)[:DIGITS] for path in existing}))


def was_trained_on(card: ModelCard, image_sha256: str) -> bool | None:
    """Return whether an image is a training image; None if card or image have no hashes."""
    if not card.training_images or not image_sha256:
        return None
    return image_sha256[:DIGITS] in card.training_images


def named_for_training(card: ModelCard, case: Case, source: str = "") -> bool:
    """Return whether the recipe on a card names a case as a training case.

    ``source`` is the file of the labels of the case. The case must be of the same file (compared by
    name and folder), or match a pattern that is distinctive by itself.
    """
    data = card.recipe.get("data")
    if not isinstance(data, Mapping):
        return False
    split = data.get("split")
    training = split.get("training") if isinstance(split, Mapping) else None
    patterns = [str(pattern) for pattern in training or ()]
    for entry in data.get("sources") or ():
        if isinstance(entry, Mapping) and _named_by(entry, patterns, case, source):
            return True
    return False


def _named_by(entry: Mapping[str, Any], patterns: list[str], case: Case, source: str) -> bool:
    name = str(entry.get("name") or "")
    same_file = bool(source) and _tail(source) == _tail(str(entry.get("labels") or ""))
    if entry.get("role") == "crops":
        only = [str(pattern) for pattern in entry.get("only") or ("*",)]
        without = [str(pattern) for pattern in entry.get("without") or ()]
        return same_file and _any(only, case, "") and not _any(without, case, "")
    if not same_file:
        patterns = [pattern for pattern in patterns if _is_distinctive(pattern, name)]
    return _any(patterns, case, name)


def _any(patterns: Iterable[str], case: Case, name: str) -> bool:
    """Return whether a pattern names a case, with or without the name of its source."""
    ids = (case.id, f"{name}/{case.id}") if name else (case.id,)
    for pattern in patterns:
        by, colon, value = pattern.partition(":")
        if colon and by in DOMAINS:
            if fnmatchcase(case.domain(by), value):
                return True
        elif any(fnmatchcase(id_, pattern) for id_ in ids):
            return True
    return False


def _is_distinctive(pattern: str, name: str) -> bool:
    """Return whether a pattern says enough without the name of its source."""
    literal = pattern.removeprefix(f"{name}/").split("*")[0].split("?")[0].split("[")[0]
    return ":" not in pattern and len(literal) >= _LEAST_LITERAL


def _tail(path: str) -> tuple[str, ...]:
    return PurePosixPath(path.replace("\\", "/")).parts[-2:]
