"""The interface of a method: what it gets, and when it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Tensor, nn

from metaphase.models.networks import Network
from metaphase.training.adapt.options import AdaptOptions

Targets = Sequence[dict[str, Tensor]]


@dataclass(frozen=True)
class Setting:
    """What is known before the first step.

    ``domains`` are the names that the codes in ``targets[i]["domain"]`` stand for (-1: composed of
    several); ``unlabelled`` is the number of unlabelled cases; ``box_um`` the side of a figure's
    box; ``merge_radius_um`` the distance within which detections are merged.
    """

    network: Network
    domains: tuple[str, ...]
    unlabelled: int
    box_um: float
    merge_radius_um: float


class UnlabelledBatch(NamedTuple):
    """Patches of which only the pixels are known.

    ``images`` and ``varied`` are uint8 [n, h, w, 3]: the same places, as on the slide and strongly
    augmented, pixel for pixel in the same position. ``targets`` hold ``ignore`` boxes, where
    nothing must be learnt, and ``domain``.
    """

    images: Tensor
    varied: Tensor
    targets: Targets


@dataclass
class Step:
    """One training step. Where a model is adapted without labels, there are no labelled images.

    ``losses`` are the parts of the loss so far; ``progress`` is the part of the run that is done (0
    to 1); ``operating_point`` is the score above which a detection counts as a mitotic figure.
    """

    network: Network
    images: Tensor | None
    targets: Targets
    maps: tuple[Tensor, ...]
    features: Tensor | None
    losses: dict[str, Tensor]
    unlabelled: UnlabelledBatch | None
    progress: float
    operating_point: float = 0.5

    def maps_and_features(self, images: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the network's maps and deepest features of other images."""
        return maps_and_features(self.network, images)


class Method(nn.Module):
    """A method of domain adaptation. Override what is needed; the rest does nothing.

    A method is a module: its parameters are trained with the network's, its state is kept in the
    checkpoints, and it moves to the device. It is never part of the model file.
    """

    name: ClassVar[str]
    Options: ClassVar[type[AdaptOptions]] = AdaptOptions
    unlabelled: ClassVar[Literal["needed", "used", "unused"]] = "unused"
    """Whether it gets unlabelled patches. Without unlabelled cases, a method that needs them is
    refused, and one that only uses them gets None."""

    def __init__(self, options: Any, setting: Setting) -> None:
        super().__init__()
        self.options = options

    def losses(self, step: Step) -> dict[str, Tensor]:
        """Return the parts of the loss, changed or extended; their sum is minimised."""
        return step.losses

    def after_step(self, network: Network) -> None:
        """Called after each optimiser step."""

    def finish(self, network: Network, draw: Callable[[int], Iterator[Tensor]] | None) -> None:
        """Called with the final weights. ``draw(n)`` gives n unlabelled patches in batches of uint8
        [k, h, w, 3]; None where there are no unlabelled cases."""


@contextmanager
def recorded_features(network: Network) -> Iterator[list[Tensor]]:
    """Record the deepest features [n, c, h, w] of every forward pass of a network."""
    features: list[Tensor] = []

    def record(module: nn.Module, inputs: Any, output: Any) -> None:
        levels = list(output.values()) if isinstance(output, dict) else output
        features.append(levels[-1] if isinstance(levels, list | tuple) else levels)

    handle = body_of(network).register_forward_hook(record)
    try:
        yield features
    finally:
        handle.remove()


def maps_and_features(network: Network, images: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return a network's maps and its deepest features [n, c, h, w] of images."""
    with recorded_features(network) as features:
        maps = network(images)
    return maps, features[-1]


def body_of(network: Network) -> nn.Module:
    """Return the part of a network that computes features: the first module named ``body``."""
    body: nn.Module
    for name, body in network.named_modules():
        if name.rpartition(".")[2] == "body":
            return body
    raise ValueError(f"a network of kind {network.kind!r} has no body")


def domain_codes(targets: Targets) -> list[int]:
    """Return the code of each patch's domain."""
    return [int(target["domain"]) for target in targets]
