"""What the map of the compact network means: centres or anchors, and the loss of either.

A head states how its maps are decoded (``spec``) and what a tile's targets make of every cell; the
layers that give the maps are the network's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_iou, sigmoid_focal_loss

from metaphase.figures import LABELS, Label
from metaphase.models.card import HeadSpec
from metaphase.models.cardbase import Level
from metaphase.models.networks.base import Target
from metaphase.models.options import CompactOptions

STRIDE = 8
_MATCHED, _UNMATCHED = 0.5, 0.4
"""IoU from which an anchor is of a figure, and under which it is background (Lin et al. 2017)."""


@dataclass(frozen=True, slots=True)
class HeadTargets:
    """What one tile wants of the maps: [c, h, w], [c, h, w], [1, h, w], [g, h, w].

    ``heat`` is how much of a figure a cell is, ``figure`` 1 where it is one, ``weight`` that of its
    score in the loss, ``geometry`` what the second map should be where there is a figure.
    """

    heat: Tensor
    figure: Tensor
    weight: Tensor
    geometry: Tensor


class Head(ABC):
    """One score a class and cell, and where in the cell the figure is."""

    geometry: int
    """Channels of the second map."""
    beta: float
    """Where its loss turns from square to straight."""

    def __init__(self, options: CompactOptions, classes: tuple[Label, ...]) -> None:
        self.options = options
        self.classes = classes

    @property
    @abstractmethod
    def spec(self) -> HeadSpec:
        """How the maps are decoded."""

    @abstractmethod
    def targets_of(self, size: Sequence[int], target: Target, device: torch.device) -> HeadTargets:
        """Return what a tile with maps of ``size`` (rows, columns) wants."""

    @abstractmethod
    def score_loss(self, logits: Tensor, expected: HeadTargets) -> Tensor:
        """Return the loss of every cell's score [n, c, h, w], unweighted."""

    def loss(self, maps: tuple[Tensor, ...], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Return the parts "score" and "offset", both over the number of cells that are figures."""
        logits, geometry = (m.float() for m in maps)
        each = [self.targets_of(logits.shape[-2:], target, logits.device) for target in targets]
        heat = torch.stack([one.heat for one in each])
        figure = torch.stack([one.figure for one in each])
        weight = torch.stack([one.weight for one in each])
        expected = HeadTargets(heat, figure, weight, torch.stack([one.geometry for one in each]))
        count = figure.sum().clamp(min=1.0)
        score = self.score_loss(logits, expected) * weight
        near = figure.amax(dim=1, keepdim=True)
        offset = F.smooth_l1_loss(geometry, expected.geometry, reduction="none", beta=self.beta)
        return {
            "score": score.sum() / count,
            "offset": self.options.offset_weight * (offset * near).sum() / count,
        }

    def _cells(self, size: Sequence[int], shift: float, device: torch.device) -> list[Tensor]:
        """Return x [1, 1, w] and y [1, h, 1] of the cells in units of the stride."""
        h, w = size
        y = (torch.arange(h, device=device) + shift).view(1, h, 1)
        x = (torch.arange(w, device=device) + shift).view(1, 1, w)
        return [x, y]


def _ignored(target: Target, x: Tensor, y: Tensor) -> Tensor:
    """Return the mask [1, h, w] of cells that are ignored in the loss."""
    ignored = torch.zeros(1, y.shape[1], x.shape[2], dtype=torch.bool, device=x.device)
    for box in target.get("ignore", torch.zeros(0, 4)):
        x1, y1, x2, y2 = (box / STRIDE).tolist()
        ignored |= (x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)
    return ignored


class CentreHead(Head):
    """Finds the cell of a figure's centre, after "Objects as Points" (Zhou et al. 2019).

    Centres, not boxes: labels of mitotic figures are points with a box of fixed size around them,
    so a box carries nothing that the point does not.
    """

    geometry = 2
    beta = 0.25

    @property
    def spec(self) -> HeadSpec:
        """How the maps are decoded."""
        return HeadSpec(kind="centre", levels=(Level(stride=STRIDE),), classes=self.classes)

    def score_loss(self, logits: Tensor, expected: HeadTargets) -> Tensor:
        """Return CornerNet's focal loss."""
        return penalty_reduced_focal_loss(logits, expected.heat, expected.figure)

    def targets_of(self, size: Sequence[int], target: Target, device: torch.device) -> HeadTargets:
        """Paint a bump around every figure; its peak is the cell that holds the centre."""
        h, w = size
        x, y = self._cells(size, 0.5, device)
        heat = torch.zeros(len(self.classes), h, w, device=device)
        centre = torch.zeros_like(heat)
        weight = torch.ones(1, h, w, device=device)
        offset = torch.zeros(2, h, w, device=device)
        sigma = self.options.sigma_um / self.options.mpp / STRIDE
        for point, code in zip(target["points"], target["labels"].tolist(), strict=True):
            px, py = (point / STRIDE).tolist()
            bump = torch.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
            label = LABELS[code]
            if label is Label.HARD_NEGATIVE:
                extra = (self.options.hard_negative_weight - 1) * bump[0]
                weight[0] = torch.maximum(weight[0], 1 + extra)
            if label not in self.classes:
                continue
            channel = self.classes.index(label)
            heat[channel] = torch.maximum(heat[channel], bump[0])
            column, row = math.floor(px), math.floor(py)
            if 0 <= column < w and 0 <= row < h:
                centre[channel, row, column] = 1
                offset[0, row, column] = px - column - 0.5
                offset[1, row, column] = py - row - 0.5
        return HeadTargets(heat, centre, weight * ~_ignored(target, x, y), offset)


def penalty_reduced_focal_loss(logits: Tensor, heat: Tensor, centre: Tensor) -> Tensor:
    """Return CornerNet's focal loss of every cell (alpha = 2, beta = 4), unreduced.

    ``centre`` is 1 where a figure's centre lies; elsewhere a cell is a negative whose penalty falls
    with ``heat`` (Law and Deng 2018). Computed from logits, so that no score under- or overflows.
    """
    p = torch.sigmoid(logits)
    positive = -F.logsigmoid(logits) * (1 - p) ** 2
    negative = -F.logsigmoid(-logits) * p**2 * (1 - heat) ** 4
    return torch.where(centre > 0, positive, negative)


class AnchorHead(Head):
    """RetinaNet's (Lin et al. 2017), with one square anchor a cell, of the labels' size.

    An anchor is a figure's where their IoU is 0.5 or more, or more than that of any other anchor;
    between 0.4 and 0.5 nothing is learnt.
    """

    geometry = 4
    beta = 1 / 9  # Ren et al. 2015 and all who followed

    @property
    def side(self) -> float:
        """Side of the anchor, px."""
        return self.options.anchor_um / self.options.mpp

    @property
    def spec(self) -> HeadSpec:
        """How the maps are decoded."""
        level = Level(stride=STRIDE, anchors=((self.side, self.side),))
        return HeadSpec(kind="anchors", levels=(level,), classes=self.classes)

    def score_loss(self, logits: Tensor, expected: HeadTargets) -> Tensor:
        """Return RetinaNet's focal loss."""
        loss: Tensor = sigmoid_focal_loss(logits, expected.heat, alpha=0.25, gamma=2)
        return loss

    def targets_of(self, size: Sequence[int], target: Target, device: torch.device) -> HeadTargets:
        """Match anchors with figures."""
        h, w = size
        x, y = self._cells(size, 0.0, device)
        figure = torch.zeros(len(self.classes), h, w, device=device)
        weight = torch.ones(1, h, w, device=device)
        deltas = torch.zeros(4, h, w, device=device)
        middle = torch.stack([x.expand(1, h, w), y.expand(1, h, w)], dim=-1)[0] * STRIDE
        anchors = torch.cat([middle - self.side / 2, middle + self.side / 2], dim=-1)
        boxes, codes = target["boxes"].to(device), target["labels"].tolist()
        overlap = box_iou(anchors.view(-1, 4), boxes).view(h, w, -1)
        learnt = [i for i, code in enumerate(codes) if LABELS[code] in self.classes]
        for i in set(range(len(codes))) - set(learnt):
            near = overlap[..., i] >= _MATCHED
            weight[0][near] = max(1.0, self.options.hard_negative_weight)
        if learnt:
            best, which = overlap[..., learnt].max(dim=-1)
            weight[0][(best >= _UNMATCHED) & (best < _MATCHED)] = 0
            mine = best >= _MATCHED
            for k, i in enumerate(learnt):
                most = overlap[..., i].max()
                cells = (mine & (which == k)) | ((overlap[..., i] == most) & (most > 0))
                figure[:, cells] = 0
                figure[self.classes.index(LABELS[codes[i]])][cells] = 1
                weight[0][cells] = 1
                deltas[:, cells] = self._deltas(middle[cells], boxes[i])
        return HeadTargets(figure, figure, weight * ~_ignored(target, x, y), deltas)

    def _deltas(self, middle: Tensor, box: Tensor) -> Tensor:
        """Return R-CNN's dx, dy, dw, dh [4, n] of a box against the anchors."""
        x1, y1, x2, y2 = box.tolist()
        deltas = torch.empty(4, len(middle), device=middle.device)
        deltas[0] = ((x1 + x2) / 2 - middle[:, 0]) / self.side
        deltas[1] = ((y1 + y2) / 2 - middle[:, 1]) / self.side
        deltas[2] = math.log(max(x2 - x1, 1e-3) / self.side)
        deltas[3] = math.log(max(y2 - y1, 1e-3) / self.side)
        return deltas


HEADS: dict[str, type[Head]] = {"centre": CentreHead, "anchors": AnchorHead}
