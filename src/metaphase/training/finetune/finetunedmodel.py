"""Write a model whose second stage was fine-tuned with a review."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metaphase import __version__
from metaphase.errors import ModelFileError
from metaphase.files import read_bytes
from metaphase.models.card import ModelCard, Threshold
from metaphase.models.cardscores import CardScores
from metaphase.models.export import check_graph, export_onnx
from metaphase.models.graphweights import replace_weights
from metaphase.models.modelcheck import ONNX_NAME
from metaphase.models.modelfile import (
    SECOND_STAGE_FOLDER,
    Model,
    copy_model,
    load_network,
    rewrite_card,
    save_model,
    save_second_stage,
)
from metaphase.models.networks.ensemble import EnsembleNetwork
from metaphase.models.networks.window import WindowNetwork
from metaphase.models.trainingimages import DIGITS
from metaphase.training.finetune.features import ClassifierNetwork
from metaphase.training.record import versions


def load_window_network(second: Model) -> ClassifierNetwork:
    """Return the network of a second stage. Raises ModelFileError, MissingExtraError."""
    network = load_network(second)
    if not isinstance(network, WindowNetwork | EnsembleNetwork):
        raise ModelFileError.of(
            second.folder,
            f"is a network of the kind {network.kind!r}, which a review cannot train",
            way_out="name a model that this version of metaphase trained",
        )
    return network


def save_finetuned(
    folder: Path,
    base: Model,
    network: ClassifierNetwork,
    threshold: Threshold,
    record: dict[str, Any],
    images: Sequence[str] = (),
) -> Model:
    """Write the model file of a base model with another network in its second stage.

    ``record`` says how the network was fine-tuned; it becomes the entry ``fine_tuned`` of the
    scores. The detector and the network for atypical figures stay byte by byte. Other scores of the
    base model are left out, since they are not those of the new weights. ``images`` are the SHA-256
    of the images with decisions.
    """
    stage, second = base.card.second_stage, base.second_stage
    assert stage is not None
    assert second is not None
    graph = None if second.onnx_path is None else _graph(second, network)
    changed = second.card.updated(
        **_named(second.card, base, record), scores=CardScores({"fine_tuned": record})
    )
    known = base.card.training_images
    short = [image[:DIGITS] for image in images]
    written = copy_model(base, folder)
    classifier = save_model(
        folder / SECOND_STAGE_FOLDER, changed, weights=network.state_dict(), onnx=graph
    )
    written = rewrite_card(
        written,
        **_named(base.card, base, record),
        threshold=threshold,
        scores=CardScores({"fine_tuned": record, **_graph_notes(base)}),
        training_images=(*known, *(image for image in short if image not in known)),
    )
    return save_second_stage(written, classifier, stage)


def _graph_notes(base: Model) -> dict[str, Any]:
    """Return what the card says of the graph in 8-bit integers: detection reads its cost there."""
    note = base.card.scores.entries.get("int8")
    return {} if note is None or base.int8_path is None else {"int8": note}


def _graph(second: Model, network: ClassifierNetwork) -> bytes:
    """Return the graph of a fine-tuned second stage.

    Where the last layer alone has changed, it is replaced in the graph of the first one.
    """
    before = _arrays(load_network(second))
    graph = replace_weights(second.graph(), before, _arrays(network))
    if graph is not None:
        check_graph(network.eval(), graph, second.folder / ONNX_NAME)
        return graph
    with tempfile.TemporaryDirectory() as scratch:
        return read_bytes(export_onnx(network, Path(scratch) / ONNX_NAME))


def _arrays(network: Any) -> dict[str, Any]:
    return {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}


def _named(card: ModelCard, base: Model, record: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a card that say what it was fine-tuned from, and with what."""
    reviewed = {
        "name": "reviewed candidates",
        "role": "review",
        "terms": "",
        "cases": record["slides"],
        "mitotic_figures": record["figures"],
        "hard_negatives": record["decisions"] - record["figures"],
        "scanners": record["scanners"],
    }
    name = card.name.partition(", fine-tuned")[0]
    return {
        "name": f"{name}, fine-tuned with {record['decisions']} decisions",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "metaphase": __version__,
        "training_data": [*card.training_data, reviewed],
        "versions": versions(),
        "command": f"metaphase learn train, from {base.card.name} ({base.id[:12]})",
    }
