"""The model file: a folder with ``card.json``, ``weights.safetensors`` and ``model.onnx``.

One of the two weights files is enough: ONNX Runtime and OpenVINO need ``model.onnx``, PyTorch needs
``weights.safetensors``. ``int8.onnx``, where there is one, is the same graph in 8-bit integers. The
card holds the SHA-256 of each, and loading checks them. A model with a second stage has the model
file of that network in the folder ``second``; one with a network for atypical mitotic figures has
it in the folder ``atypical``. A network that was trained elsewhere has its graph as ``model.onnx``,
unchanged, and ``check.png`` (``foreign.py``).

Nothing in a model file is code, and loading executes none. The network is looked up by name among
those of this package, safetensors holds numbers alone, and ONNX is a graph of known operators that
may not refer to other files (``onnxfile.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from metaphase.errors import MissingExtraError, ModelFileError
from metaphase.files import read_bytes, real_path, write_bytes, write_json
from metaphase.models.card import Atypical, ModelCard, SecondStage
from metaphase.models.cardfile import CARD_NAME, card_id, read_card
from metaphase.models.modelcheck import (
    COPY_AGAIN,
    FILES,
    INT8_NAME,
    ONNX_NAME,
    WEIGHTS_NAME,
    damage,
    graph_problems,
    part_damage,
)

if TYPE_CHECKING:
    from metaphase.models.networks.base import Network

SECOND_STAGE_FOLDER = "second"
"""Folder inside a model file: the model file of the second stage."""
ATYPICAL_FOLDER = "atypical"
"""Folder inside a model file: the model file of the network for atypical figures."""
ZOO = Path(__file__).parent / "zoo"
DEFAULT_NAME = "compact"
"""The bundled model that is used where none is named."""


@dataclass(frozen=True)
class Model:
    """A complete model file: its card, its folder and its id.

    ``id`` is the SHA-256 of the card's content, which holds the hashes of the weights. Equal ids
    mean equal weights, threshold and training record, wherever the folder is.
    """

    card: ModelCard
    folder: Path
    id: str

    @property
    def onnx_path(self) -> Path | None:
        """The ONNX graph, or None."""
        return self._listed(ONNX_NAME)

    @property
    def int8_path(self) -> Path | None:
        """The ONNX graph in 8-bit integers, or None."""
        return self._listed(INT8_NAME)

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

    @cached_property
    def atypical(self) -> Model | None:
        """The model of the network for atypical mitotic figures, or None."""
        if self.card.atypical is None:
            return None
        return load_model(self.folder / ATYPICAL_FOLDER, verify=False)

    def graph(self, precision: str = "fp32") -> bytes:
        """Read the ONNX graph: for "int8" the one in 8-bit integers, where the model has one.

        Raises ModelFileError where it is absent, changed or not alone.
        """
        path = (self.int8_path if precision == "int8" else None) or self.onnx_path
        if path is None:
            raise ModelFileError.of(
                self.folder,
                f"has no {ONNX_NAME}",
                way_out="write one with 'metaphase export', or use --device torch",
            )
        try:
            data = read_bytes(path)
        except OSError as error:
            raise ModelFileError.of(path, f"cannot be read: {error.strerror}") from error
        problems = list(graph_problems(path, data, self.card.weights_sha256[path.name]))
        if problems:
            raise ModelFileError(problems)
        return data

    def _listed(self, name: str) -> Path | None:
        return self.folder / name if name in self.card.weights_sha256 else None


def load_model(path: str | Path, *, verify: bool = True) -> Model:
    """Open a model file: a folder, its ``card.json``, or the name of a bundled model.

    ``verify=False`` skips hashing the weights (when the caller has just done so). Raises
    ModelFileError where something is missing, damaged or too new.
    """
    folder = _find(path)
    card = read_card(folder / CARD_NAME)
    problems = list(damage(folder, card, verify))
    if card.second_stage is not None:
        problems += part_damage(folder / SECOND_STAGE_FOLDER, card.second_stage.id, verify)
    if card.atypical is not None:
        problems += part_damage(folder / ATYPICAL_FOLDER, card.atypical.id, verify)
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
        parts[ONNX_NAME] = onnx if isinstance(onnx, bytes) else read_bytes(onnx)
    (folder / CARD_NAME).unlink(missing_ok=True)  # without a card it is not taken for complete
    for name in FILES:
        if name in parts:
            write_bytes(folder / name, parts[name])
        else:
            (folder / name).unlink(missing_ok=True)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(parts.items())}
    return _write_card(folder, card.updated(weights_sha256=hashes))


def rewrite_card(model: Model, **changes: Any) -> Model:
    """Replace fields of a model's card and return the model with its new card and id.

    The weights stay. Raises pydantic's ValidationError for values that are not allowed.
    """
    return _write_card(model.folder, model.card.updated(**changes))


def save_int8(model: Model, graph: bytes, note: Mapping[str, Any]) -> Model:
    """Add the graph in 8-bit integers to a model file and return the model with its new id.

    ``note`` goes to the card: how it was calibrated and what it costs (``CardScores.int8``).
    """
    write_bytes(model.folder / INT8_NAME, graph)
    hashes = {**model.card.weights_sha256, INT8_NAME: hashlib.sha256(graph).hexdigest()}
    scores = model.card.scores.with_entries(int8=dict(note))
    return rewrite_card(model, weights_sha256=hashes, scores=scores)


def save_second_stage(model: Model, second: Model, stage: SecondStage) -> Model:
    """Give a model file a second stage and return it.

    ``second`` is copied into its folder, unless it was written there.
    """
    _copy_part(second, model.folder / SECOND_STAGE_FOLDER)
    named = stage.model_copy(update={"id": card_id(second.card)})
    return rewrite_card(model, second_stage=named)


def save_atypical(model: Model, network: Model, atypical: Atypical) -> Model:
    """Give a model file a network for atypical mitotic figures and return it.

    ``network`` is copied into its folder, unless it was written there.
    """
    _copy_part(network, model.folder / ATYPICAL_FOLDER)
    named = atypical.model_copy(update={"id": card_id(network.card)})
    return rewrite_card(model, atypical=named)


def copy_model(model: Model, folder: str | Path) -> Model:
    """Copy a model file with its parts to another folder, the card last; return the copy."""
    folder = Path(folder)
    parts = ((model.second_stage, SECOND_STAGE_FOLDER), (model.atypical, ATYPICAL_FOLDER))
    for part, name in parts:
        if part is not None:
            _copy_part(part, folder / name)
    _copy_part(model, folder)
    return Model(model.card, folder, model.id)


def _copy_part(part: Model, folder: Path) -> None:
    if real_path(part.folder) != real_path(folder):
        files = (part.onnx_path, part.int8_path, part.weights_path, part.folder / CARD_NAME)
        for path in files:
            if path is not None:
                write_bytes(folder / path.name, read_bytes(path))


def load_network(model: Model) -> Network:
    """Build the model's PyTorch network with its weights, in evaluation mode (extra ``train``)."""
    if model.card.foreign is not None:
        raise ModelFileError.of(
            model.folder,
            "is an imported graph, which PyTorch neither runs nor trains",
            way_out="use --device onnx, or a model that 'metaphase train' wrote",
        )
    if model.weights_path is None:
        raise ModelFileError.of(
            model.folder, f"has no {WEIGHTS_NAME}", way_out="PyTorch needs it; use --device onnx"
        )
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load

        from metaphase.models.networks import build_network
    except ImportError as error:
        raise MissingExtraError("train", "running a model with PyTorch") from error
    card = model.card
    try:
        network = build_network(
            card.network, card.network_options, card.head.classes, pretrained=False
        )
    except (ValidationError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise ModelFileError.of(
            model.folder / CARD_NAME, f"the network cannot be built: {error}", record="network"
        ) from error
    try:
        # Read, not mapped: a file that is cut short meanwhile would end the process.
        network.load_state_dict(load(read_bytes(model.weights_path)))
    except (RuntimeError, SafetensorError, OSError) as error:
        raise ModelFileError.of(
            model.weights_path, f"does not fit {card.network!r}: {error}", way_out=COPY_AGAIN
        ) from error
    return network.eval()


def zoo_names() -> list[str]:
    """Return the names of the bundled models."""
    return sorted(card.parent.name for card in ZOO.glob(f"*/{CARD_NAME}"))


def names_model(text: str) -> bool:
    """Return whether a text is the name of a bundled model or the path of a model file."""
    return text in zoo_names() or (Path(text) / CARD_NAME).is_file()


def default_model() -> str:
    """Return the name of the model to use where none is named. Raises ModelFileError."""
    if DEFAULT_NAME not in zoo_names():
        raise ModelFileError.of(
            DEFAULT_NAME,
            "is not part of this installation, so a model has to be named",
            way_out="name a folder that 'metaphase train' wrote, with --model",
        )
    return DEFAULT_NAME


def _write_card(folder: Path, card: ModelCard) -> Model:
    write_json(folder / CARD_NAME, card.model_dump(mode="json"))
    return Model(card, folder, card_id(card))


def _find(path: str | Path) -> Path:
    named = Path(path)
    try:
        if named.name == CARD_NAME and named.is_file():
            return named.parent
        if (named / CARD_NAME).is_file():
            return named
        if named.name == str(path) and (ZOO / named / CARD_NAME).is_file():
            return ZOO / named
        problem = _absence(named)
    except (OSError, ValueError) as error:  # a name that no file can have
        problem = f"cannot be opened: {error}"
    raise ModelFileError.of(path, problem, way_out=_known_models())


def _absence(path: Path) -> str:
    if path.is_dir():
        return f"holds no {CARD_NAME}, so it is not a model file, or one that was not finished"
    if path.exists():
        return "is not a model file: a model file is a folder"
    return "there is no such model file"


def _known_models() -> str:
    names = zoo_names()
    bundled = f"or a bundled model: {', '.join(names)}" if names else "no model is bundled"
    return f"name a folder that 'metaphase train' wrote; {bundled}"


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
