"""Whether the files of a model are those that its card names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from metaphase.errors import ModelFileError, Problem
from metaphase.files import sha256_of_file
from metaphase.models.card import ModelCard
from metaphase.models.cardfile import CARD_NAME, card_id, read_card
from metaphase.models.onnxfile import external_files

WEIGHTS_NAME = "weights.safetensors"
ONNX_NAME = "model.onnx"
INT8_NAME = "int8.onnx"
FILES = (WEIGHTS_NAME, ONNX_NAME, INT8_NAME)
COPY_AGAIN = "copy the whole folder again from where it came"


def damage(folder: Path, card: ModelCard, verify: bool) -> Iterator[Problem]:
    """Yield what is wrong with the weights that a card names; ``verify`` compares hashes."""
    hashes = {k: v for k, v in card.weights_sha256.items() if k in FILES}
    for name in sorted(set(card.weights_sha256) - set(hashes)):
        yield Problem(str(folder / CARD_NAME), "weights_sha256", f"unknown file {name!r}")
    if not {WEIGHTS_NAME, ONNX_NAME} & set(hashes):
        yield Problem(str(folder), "", "has no weights", COPY_AGAIN)
    for name, expected in hashes.items():
        yield from _file_damage(folder / name, expected, verify)


def _file_damage(path: Path, expected: str, verify: bool) -> Iterator[Problem]:
    try:
        if not path.is_file():
            yield Problem(str(path), "", "is missing, though the card names it", COPY_AGAIN)
        elif verify and sha256_of_file(path) != expected:
            yield Problem(str(path), "", "is not the file that the card names", COPY_AGAIN)
    except OSError as error:
        yield Problem(str(path), "", f"cannot be read: {error.strerror}", COPY_AGAIN)


def graph_problems(path: Path, data: bytes, expected: str) -> Iterator[Problem]:
    """Yield why a graph must not be loaded: it is not the one of the hash, or refers to others."""
    if hashlib.sha256(data).hexdigest() != expected:
        yield Problem(str(path), "", "is not the file that the card names", COPY_AGAIN)
        return
    try:
        files = external_files(data)
    except ValueError as error:
        yield Problem(str(path), "", f"is not an ONNX graph: {error}", COPY_AGAIN)
        return
    if files:
        yield Problem(
            str(path),
            "",
            f"keeps weights in other files ({', '.join(map(repr, files[:3]))}), whose content the "
            "card does not vouch for",
            "save the graph with all weights inside",
        )


def part_damage(folder: Path, expected: str, verify: bool) -> list[Problem]:
    """Return what is wrong with the model file of a second stage or of atypical figures."""
    try:
        card = read_card(folder / CARD_NAME)
    except ModelFileError as error:
        return list(error.problems)
    problems = list(damage(folder, card, verify))
    if card.second_stage is not None or card.atypical is not None:
        problems.append(Problem(str(folder), "", "is a part of a model that has parts itself"))
    elif not problems and card_id(card) != expected:
        wrong = f"is not the part {folder.name!r} that the card names"
        problems.append(Problem(str(folder), "", wrong, COPY_AGAIN))
    return problems
