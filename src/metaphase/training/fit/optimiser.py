"""The optimiser of a run."""

from __future__ import annotations

from torch import nn, optim

from metaphase.training.recipe.sections import Optimiser


def make_optimiser(network: nn.Module, settings: Optimiser) -> optim.Optimizer:
    """Return the optimiser of what is trained; norms and biases are not decayed."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            key = "body." in name, parameter.ndim > 1
            groups.setdefault(key, []).append(parameter)
    parts = [
        {
            "params": parameters,
            "lr": settings.learning_rate * (settings.backbone_factor if backbone else 1.0),
            "weight_decay": settings.weight_decay if decayed else 0.0,
        }
        for (backbone, decayed), parameters in groups.items()
    ]
    if settings.kind == "sgd":
        return optim.SGD(parts, lr=settings.learning_rate, momentum=settings.momentum)
    kind = optim.AdamW if settings.kind == "adamw" else optim.Adam
    return kind(parts, lr=settings.learning_rate)
