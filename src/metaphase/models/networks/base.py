"""What every network gives: maps for the decoder, a loss for training, and what it must be fed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import torch
from torch import Tensor, nn

from metaphase.figures import Label
from metaphase.models.card import HeadSpec, InputSpec

Rgb = tuple[float, float, float]

IMAGENET: dict[str, Rgb] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


class Target(TypedDict):
    """What is in one tile, in tile pixels. Codes are ``Label.code``: 0 mitotic, 1 hard negative."""

    points: Tensor  # float [n, 2]
    boxes: Tensor  # float [n, 4]
    labels: Tensor  # int64 [n]
    ignore: NotRequired[Tensor]  # float [m, 4]: boxes where nothing is learnt


class Network(nn.Module, ABC):
    """A detector without its decoding: uint8 tiles in, maps out (see ``models/card.py``)."""

    kind: str
    options: dict[str, Any]
    _scale: Tensor
    _shift: Tensor

    def __init__(
        self,
        classes: tuple[Label, ...],
        input_spec: InputSpec,
        head: HeadSpec,
        normalisation: dict[str, Rgb] = IMAGENET,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.input = input_spec
        self.head = head
        self.normalisation = normalisation
        mean, std = torch.tensor(normalisation["mean"]), torch.tensor(normalisation["std"])
        self.register_buffer("_scale", 1 / (255 * std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_shift", -(mean / std).view(1, 3, 1, 1), persistent=False)

    def normalise(self, images: Tensor) -> Tensor:
        """Return float [n, 3, h, w] in the network's units from uint8 RGB [n, h, w, 3]."""
        scaled: Tensor = images.permute(0, 3, 1, 2).float() * self._scale + self._shift
        return scaled

    @abstractmethod
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return logits and geometry of every level for uint8 RGB tiles [n, h, w, 3]."""

    @abstractmethod
    def loss(self, maps: tuple[Tensor, ...], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Return the named parts of the loss; training minimises their sum."""
