"""The networks that a model file can hold, behind one interface. This package needs PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metaphase.errors import RecipeError
from metaphase.figures import Label
from metaphase.models.networks.base import Network, Target
from metaphase.models.networks.compact import CompactNetwork
from metaphase.models.networks.ensemble import EnsembleNetwork
from metaphase.models.networks.retinanet import RetinaNetNetwork
from metaphase.models.networks.window import WindowNetwork
from metaphase.models.options import (
    CompactOptions,
    EnsembleOptions,
    RetinaNetOptions,
    WindowOptions,
)

__all__ = ["KINDS", "Network", "Target", "build_network"]

KINDS: dict[str, tuple[Callable[[Any, tuple[Label, ...]], Network], type[Any]]] = {
    "compact": (CompactNetwork, CompactOptions),
    "retinanet_resnet50_fpn_v2": (RetinaNetNetwork, RetinaNetOptions),
    "window": (WindowNetwork, WindowOptions),
    "ensemble": (EnsembleNetwork, EnsembleOptions),
}


def build_network(
    kind: str,
    options: Mapping[str, Any],
    classes: Sequence[Label] = (Label.MITOTIC,),
    *,
    pretrained: bool = True,
) -> Network:
    """Build a network with its starting weights (``pretrained=False``: none, to load others).

    Raises RecipeError for an unknown kind, pydantic's ValidationError for wrong options.
    """
    if kind not in KINDS:
        raise RecipeError.of(
            "network",
            f"unknown kind {kind!r}",
            record="kind",
            way_out=f"choose one of {', '.join(KINDS)}",
        )
    network_class, options_class = KINDS[kind]
    settings = options_class(**options)
    if not pretrained:
        settings = settings.model_copy(update={"weights": "none"})
    network: Network = network_class(settings, tuple(classes))
    network.options = options_class(**options).model_dump(mode="json")
    return network
