"""Features of windows: what the last layer of the second stage computes its logit from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from metaphase.arrays import Float32Array, Pixels
from metaphase.detection.secondstage import turn
from metaphase.models.networks.ensemble import EnsembleNetwork
from metaphase.models.networks.window import WindowNetwork
from metaphase.training.finetune.head import Head

BATCH = 32

Progress = Callable[[int, int], None]
"""Called with the number of windows that are done and in all."""


ClassifierNetwork = WindowNetwork | EnsembleNetwork
"""A network of the second stage: its logit is linear in its features."""


def window_features(
    network: ClassifierNetwork,
    windows: Pixels,
    symmetries: int,
    progress: Progress = lambda done, total: None,
) -> Float32Array:
    """Return the features [n, symmetries, d] of windows uint8 [n, side, side, 3].

    The symmetries are those over which detection averages the logits (``secondstage.turn``).
    """
    found = np.zeros((len(windows), symmetries, len(head_of(network).weight)), np.float32)
    with torch.inference_mode():
        for start in range(0, len(windows), BATCH):
            part = windows[start : start + BATCH]
            for number in range(symmetries):
                images = torch.from_numpy(turn(part, number))
                found[start : start + BATCH, number] = network.pooled(images)[:, :, 0, 0].numpy()
            progress(min(start + BATCH, len(windows)), len(windows))
    return found


def head_of(network: ClassifierNetwork) -> Head:
    """Return the last layer of a network with one class; of an ensemble, the mean of its members'
    on their joined features."""
    layers = _layers(network)
    weights = [layer.weight.detach().double().numpy().reshape(-1) for layer in layers]
    biases = [float(_bias(layer).detach()) for layer in layers]
    return Head(np.concatenate(weights) / len(layers), sum(biases) / len(layers))


def set_head(network: ClassifierNetwork, head: Head) -> None:
    """Replace the last layer of a network."""
    layers = _layers(network)
    edges = np.cumsum([layer.in_channels for layer in layers])[:-1]
    with torch.no_grad():
        for layer, weight in zip(layers, np.split(head.weight * len(layers), edges), strict=True):
            layer.weight.copy_(torch.from_numpy(weight).reshape(1, -1, 1, 1))
            _bias(layer).fill_(head.bias)


def parts_of(network: ClassifierNetwork) -> list[WindowNetwork]:
    """Return the members of an ensemble, or the network itself."""
    members = network.members if isinstance(network, EnsembleNetwork) else [network]
    return [member for member in members if isinstance(member, WindowNetwork)]


def _layers(network: ClassifierNetwork) -> list[torch.nn.Conv2d]:
    return [part.score for part in parts_of(network)]


def _bias(layer: torch.nn.Conv2d) -> torch.Tensor:
    assert layer.bias is not None
    return layer.bias
