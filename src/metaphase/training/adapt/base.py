"""The interface: what a method is told, and the moments at which it can act."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Tensor, nn

from metaphase.models.networks import Network
from metaphase.training.adapt.options import AdaptOptions
from metaphase.training.recipe.recipe import Recipe

Targets = Sequence[dict[str, Tensor]]


@dataclass(frozen=True)
class Setting:
    """What is known before the first step.

    ``domains`` are the names that the codes in ``targets[i]["domain"]`` stand for (-1: composed of
    several); ``unlabelled`` is how many unlabelled cases there are.
    """

    recipe: Recipe
    network: Network
    domains: tuple[str, ...]
    unlabelled: int


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

    ``losses`` are the detector's parts of the loss so far; ``progress`` is the part of the run that
    is done (0 to 1); ``operating_point`` the score above which the detector says "mitotic".
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

    def look(self, images: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the network's maps and deepest features of other images."""
        return look(self.network, images)


class Method(nn.Module):
    """One way to hold up on other scanners. Override what is needed; the rest does nothing.

    A method is a module: its parameters are trained with the network's, its state is kept in the
    checkpoints, and it moves to the device. It is never part of the model file.
    """

    name: ClassVar[str]
    Options: ClassVar[type[AdaptOptions]] = AdaptOptions
    unlabelled: ClassVar[Literal["needed", "used", "unused"]] = "unused"
    """Whether unlabelled patches are drawn for it. Without unlabelled cases, a method that needs
    them is refused, and one that only uses them gets None."""

    def __init__(self, options: Any, setting: Setting) -> None:
        super().__init__()
        self.options = options

    def losses(self, step: Step) -> dict[str, Tensor]:
        """Return the parts of the loss, changed or with others added; their sum is minimised."""
        return step.losses

    def after_step(self, network: Network) -> None:
        """Act when the weights have moved."""

    def finish(self, network: Network, draw: Callable[[int], Iterator[Tensor]] | None) -> None:
        """Act on the final weights. ``draw(n)`` gives n unlabelled patches in batches of uint8
        [k, h, w, 3]; None where there are no unlabelled cases."""


@dataclass
class Tap:
    """Holds what flowed through the network's body."""

    features: list[Tensor] = field(default_factory=list)


@contextmanager
def tapped(network: Network) -> Iterator[Tap]:
    """Collect the deepest features [n, c, h, w] of every pass through a network."""
    tap = Tap()

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        levels = list(output.values()) if isinstance(output, dict) else output
        tap.features.append(levels[-1] if isinstance(levels, list | tuple) else levels)

    handle = body_of(network).register_forward_hook(keep)
    try:
        yield tap
    finally:
        handle.remove()


def look(network: Network, images: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
    """Return a network's maps and its deepest features [n, c, h, w] of images."""
    with tapped(network) as tap:
        maps = network(images)
    return maps, tap.features[-1]


def body_of(network: Network) -> nn.Module:
    """Return the part of a network that gives features: the first module called ``body``."""
    for name, module in network.named_modules():
        if name.rpartition(".")[2] == "body":
            found: nn.Module = module
            return found
    raise ValueError(f"a network of kind {network.kind!r} has no body")


def domain_codes(targets: Targets) -> list[int]:
    """Return the code of each patch's domain."""
    return [int(target["domain"]) for target in targets]
