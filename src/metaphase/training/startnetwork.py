"""The network that a training starts from: fresh, pretrained, or that of a model file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metaphase.errors import ModelFileError
from metaphase.figures import Label
from metaphase.models.modelfile import Model, load_model, names_model
from metaphase.models.networks import Network, build_network

_CLASSIFIERS = ("window", "ensemble")
"""Kinds of networks of the second stage."""


def starting_network(kind: str, options: Mapping[str, Any], classes: Sequence[Label]) -> Network:
    """Build a network with its starting weights; ``options["weights"]`` may name a model.

    Raises ModelFileError where a model has no such network, or one of other sizes, with the
    options that differ; and what ``build_network`` raises.
    """
    weights = str(options.get("weights", ""))
    if not names_model(weights):
        return build_network(kind, options, classes)
    network = build_network(kind, options, classes, pretrained=False)
    _copy_weights(network, weights)
    return network


def _copy_weights(network: Network, weights: str) -> None:
    """Load the weights of a model; a second stage takes those of its second stage."""
    model = _part(load_model(weights), network)
    if model.card.network != network.kind:
        raise ModelFileError.of(
            weights,
            f"holds the network {model.card.network!r}; the recipe has {network.kind!r}",
            way_out="name a model of that kind",
        )
    if model.weights_path is None:
        raise ModelFileError.of(
            weights, "has no weights for PyTorch", way_out="name the model before its export"
        )
    from safetensors.torch import load_file

    tensors = load_file(model.weights_path)
    current = network.state_dict()
    if {n: t.shape for n, t in tensors.items()} != {n: t.shape for n, t in current.items()}:
        raise ModelFileError.of(
            weights,
            f"does not fit the network of the recipe: {_differences(model, network)}",
            way_out="give the recipe the options of the model ('metaphase card')",
        )
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})


def _part(model: Model, network: Network) -> Model:
    """Return the second stage of a model for a network of such a kind, otherwise the model."""
    if network.kind not in _CLASSIFIERS or model.card.network in _CLASSIFIERS:
        return model
    if model.second_stage is None:
        raise ModelFileError.of(
            model.folder, "has no second stage", way_out='or second_stage.weights = "imagenet"'
        )
    return model.second_stage


def _differences(model: Model, network: Network) -> str:
    theirs, ours = model.card.network_options, network.options
    names = [
        f"{name} is {theirs[name]} in the model and {ours[name]} in the recipe"
        for name in sorted(theirs.keys() & ours.keys() - {"weights"})
        if theirs[name] != ours[name]
    ]
    classes = len(model.card.head.classes), len(network.classes)
    if classes[0] != classes[1]:
        names.append(f"it has {classes[0]} classes, the recipe {classes[1]}")
    return "; ".join(names) or "its tensors have other sizes"
