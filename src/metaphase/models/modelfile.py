"""The model file: a folder with ``card.json``, ``weights.safetensors`` and ``model.onnx``.

A model with a second stage has a second model file inside, in the folder ``second``.

One of the two weights files is enough: ONNX Runtime and OpenVINO need ``model.onnx``, PyTorch needs
``weights.safetensors``. The card holds the SHA-256 of each, and loading checks them. Nothing in a
model file is code, and loading executes none: the network's kind is looked up by name among those
that this package knows, safetensors holds numbers alone, and ONNX is a graph of known operators.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from metaphase.errors import MissingExtraError, ModelFileError, Problem
from metaphase.files import sha256_of_file, write_bytes, write_json
from metaphase.models.card import ModelCard, SecondStage

if TYPE_CHECKING:
    from metaphase.models.networks.base import Network

CARD_NAME = "card.json"
WEIGHTS_NAME = "weights.safetensors"
ONNX_NAME = "model.onnx"
SECOND_STAGE_FOLDER = "second"
"""Folder inside a model file: that of the network of the second stage, a model file itself."""
ZOO = Path(__file__).parent / "zoo"
DEFAULT_NAME = "compact"
"""The model inside the package that is meant where none is named."""

_LATER_FIELDS = ("command", "limitations", "second_stage", "domains")
_LATER_FIELDS_OF_SECOND = ("floor", "stain")


@dataclass(frozen=True)
class Model:
    """A model file that was found whole: its card, its folder and its id.

    ``id`` is the SHA-256 of the card's content, which holds the hashes of the weights: equal ids
    mean equal numbers, threshold and training record, wherever the folder lies.
    """

    card: ModelCard
    folder: Path
    id: str

    @property
    def onnx_path(self) -> Path | None:
        """The ONNX graph, or None."""
        return self._listed(ONNX_NAME)

    @property
    def weights_path(self) -> Path | None:
        """The safetensors file, or None."""
        return self._listed(WEIGHTS_NAME)

    @cached_property
    def second_stage(self) -> Model | None:
        """The model of the second stage, or None."""
        if self.card.second_stage is None:
            return None
        return load_model(self.folder / SECOND_STAGE_FOLDER, verify=False)

    def _listed(self, name: str) -> Path | None:
        return self.folder / name if name in self.card.weights_sha256 else None


def load_model(path: str | Path, *, verify: bool = True) -> Model:
    """Open a model file: a folder, its ``card.json``, or the name of a model in the package.

    ``verify=False`` skips hashing the weights (when the caller has just done so). Raises
    ModelFileError where something is missing, damaged or too new.
    """
    folder = _find(path)
    card = _read_card(folder / CARD_NAME)
    problems = list(_damage(folder, card, verify))
    if card.second_stage is not None:
        problems += _second_damage(folder / SECOND_STAGE_FOLDER, card.second_stage.id, verify)
    if problems:
        raise ModelFileError(problems)
    return Model(card, folder, card_id(card))


def save_model(
    folder: str | Path,
    card: ModelCard,
    *,
    weights: Mapping[str, Any] | None = None,
    onnx: bytes | Path | None = None,
) -> Model:
    """Write a model file and return it. The card is written last, with the hashes of the weights.

    ``weights`` maps names to torch tensors or arrays. A model file that was in the folder is
    replaced. Raises ModelFileError where neither weights nor a graph are given.
    """
    folder = Path(folder)
    if weights is None and onnx is None:
        raise ModelFileError.of(folder, "a model file needs weights, an ONNX graph, or both")
    parts: dict[str, bytes] = {}
    if weights is not None:
        parts[WEIGHTS_NAME] = _safetensors(weights)
    if onnx is not None:
        parts[ONNX_NAME] = onnx if isinstance(onnx, bytes) else Path(onnx).read_bytes()
    (folder / CARD_NAME).unlink(missing_ok=True)  # no card: whoever looks sees it is not complete
    for name in (WEIGHTS_NAME, ONNX_NAME):
        if name in parts:
            write_bytes(folder / name, parts[name])
        else:
            (folder / name).unlink(missing_ok=True)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(parts.items())}
    card = card.model_copy(update={"weights_sha256": hashes})
    write_json(folder / CARD_NAME, card.model_dump(mode="json"))
    return Model(card, folder, card_id(card))


def rewrite_card(model: Model, **changes: Any) -> Model:
    """Write other values into fields of a model's card and return the model as it is now.

    The weights stay; the id changes with the card.
    """
    card = model.card.model_copy(update=changes)
    write_json(model.folder / CARD_NAME, card.model_dump(mode="json"))
    return Model(card, model.folder, card_id(card))


def save_second_stage(model: Model, second: Model, look: SecondStage) -> Model:
    """Give a model file a second stage and return it.

    ``second`` is copied into its folder, unless it was written there.
    """
    folder = model.folder / SECOND_STAGE_FOLDER
    if second.folder.resolve() != folder.resolve():
        for path in (second.onnx_path, second.weights_path, second.folder / CARD_NAME):
            if path is not None:
                write_bytes(folder / path.name, path.read_bytes())
    return rewrite_card(model, second_stage=look.model_copy(update={"id": card_id(second.card)}))


def load_network(model: Model) -> Network:
    """Build the model's PyTorch network with its weights, in evaluation mode (extra ``train``)."""
    if model.weights_path is None:
        raise ModelFileError.of(
            model.folder, f"has no {WEIGHTS_NAME}", way_out="PyTorch needs it; use --device onnx"
        )
    try:
        from safetensors.torch import load_file

        from metaphase.models.networks import build_network
    except ImportError as error:
        raise MissingExtraError("train", "running a model with PyTorch") from error
    card = model.card
    network = build_network(card.network, card.network_options, card.head.classes, pretrained=False)
    try:
        network.load_state_dict(load_file(model.weights_path))
    except RuntimeError as error:
        raise ModelFileError.of(
            model.weights_path, f"does not fit {card.network!r}: {error}"
        ) from error
    return network.eval()


def zoo_names() -> list[str]:
    """Return the names of the models inside the package."""
    return sorted(card.parent.name for card in ZOO.glob(f"*/{CARD_NAME}"))


def default_model() -> str:
    """Return the name of the model that is meant where none is named. Raises ModelFileError."""
    if DEFAULT_NAME not in zoo_names():
        raise ModelFileError.of(
            DEFAULT_NAME,
            "is not inside this install, so there is no model unless one is named",
            way_out="name a folder that 'metaphase train' wrote, with --model",
        )
    return DEFAULT_NAME


def card_id(card: ModelCard) -> str:
    """Return the SHA-256 of a card's content, whatever its layout on disk.

    Fields that cards have not always had count where they say something other than their default,
    so that the ids of older models stay what they were.
    """
    content = card.model_dump(mode="json")
    for name in _LATER_FIELDS:
        if not content[name]:
            del content[name]
    for name in _LATER_FIELDS_OF_SECOND if card.second_stage is not None else ():
        if getattr(card.second_stage, name) == SecondStage.model_fields[name].default:
            del content["second_stage"][name]
    if "second_stage" in content:
        content["second"] = content.pop("second_stage")  # the name when ids were first given
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _find(path: str | Path) -> Path:
    given = Path(path)
    if given.name == CARD_NAME and given.is_file():
        return given.parent
    if (given / CARD_NAME).is_file():
        return given
    if given.name == str(path) and (ZOO / given / CARD_NAME).is_file():
        return ZOO / given
    raise ModelFileError.of(path, _absence(given), way_out=_known_models())


def _absence(given: Path) -> str:
    if given.is_dir():
        return f"holds no {CARD_NAME}, so it is not a model file, or one that was not finished"
    if given.exists():
        return "is not a model file: a model file is a folder"
    return "there is no such model file"


def _known_models() -> str:
    names = zoo_names()
    inside = f"or one of the models inside: {', '.join(names)}" if names else "none are inside yet"
    return f"name a folder that 'metaphase train' wrote; {inside}"


def _read_card(path: Path) -> ModelCard:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFileError.of(path, f"cannot be read: {error}") from error
    version = data.get("format") if isinstance(data, dict) else None
    if isinstance(version, int) and version > 1:
        raise ModelFileError.of(
            path, f"is of format {version}; this metaphase knows 1", way_out="upgrade metaphase"
        )
    try:
        return ModelCard.model_validate(data)
    except ValidationError as error:
        raise ModelFileError(
            Problem(str(path), ".".join(map(str, item["loc"])), item["msg"])
            for item in error.errors()
        ) from error


def _damage(folder: Path, card: ModelCard, verify: bool) -> list[Problem]:
    way_out = "copy the whole folder again from where it came"
    hashes = {k: v for k, v in card.weights_sha256.items() if k in (WEIGHTS_NAME, ONNX_NAME)}
    strangers = sorted(set(card.weights_sha256) - set(hashes))
    problems = [
        Problem(str(folder / CARD_NAME), "weights_sha256", f"unknown file {name!r}")
        for name in strangers
    ]
    if not hashes:
        problems.append(Problem(str(folder), "", "has no weights", way_out))
    for name, wanted in hashes.items():
        path = folder / name
        if not path.is_file():
            problems.append(Problem(str(path), "", "is missing, though the card names it", way_out))
        elif verify and sha256_of_file(path) != wanted:
            problems.append(Problem(str(path), "", "is not the file that the card names", way_out))
    return problems


def _second_damage(folder: Path, wanted: str, verify: bool) -> list[Problem]:
    try:
        found = load_model(folder, verify=verify)
    except ModelFileError as error:
        return list(error.problems)
    if found.id == wanted:
        return []
    way_out = "copy the whole folder again from where it came"
    return [Problem(str(folder), "", "is not the second stage that the card names", way_out)]


def _safetensors(weights: Mapping[str, Any]) -> bytes:
    try:
        if any(hasattr(value, "detach") for value in weights.values()):
            from safetensors.torch import save

            tensors = {k: v.detach().cpu().contiguous().clone() for k, v in weights.items()}
        else:
            import numpy as np
            from safetensors.numpy import save

            tensors = {k: np.ascontiguousarray(v) for k, v in weights.items()}
    except ImportError as error:
        raise MissingExtraError("train", "writing weights") from error
    data: bytes = save(dict(sorted(tensors.items())))
    return data
