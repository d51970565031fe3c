"""Small PyTorch networks of other people's kinds, and how they are trained for a few steps.

``forward`` is what is exported. ``inference`` yields what the network's own program would return
for each tile of a batch: x, y, score and class of each detection, without suppression.
"""

from __future__ import annotations

import warnings
from functools import partial
from unittest.mock import patch

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from metaphase.figures import Label
from metaphase.phantom.region import render_region

SIDE = 128
K = 2


def region(seed, side):
    """Return pixels of a synthetic region and its figures as x, y, class."""
    pixels, figures = render_region(
        seed, side, side, mitotic_per_mm2=500, hard_negative_per_mm2=400
    )
    labels = list(Label)
    return pixels, np.array([(f.x_px, f.y_px, labels.index(f.label)) for f in figures]).reshape(
        -1, 3
    )


def samples(count=24, seed=0):
    """Return tiles [n, 3, h, w] in 0-1 around figures, and the figures in each."""
    random = np.random.default_rng(seed)
    pixels, figures = region(seed, 640)
    tiles, targets = [], []
    for _ in range(count):
        centre = figures[random.integers(len(figures)), :2] - random.uniform(32, 96, 2)
        x, y = np.clip(centre, 0, 640 - SIDE).astype(int)
        inside = figures - (x, y, 0)
        keep = ((inside[:, :2] > 8) & (inside[:, :2] < SIDE - 8)).all(axis=1)
        tile = pixels[y : y + SIDE, x : x + SIDE]
        tiles.append(tile)
        targets.append(torch.tensor(inside[keep], dtype=torch.float32))
    stacked = torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).float() / 255
    return stacked, targets


def body(out=16, stride=8):
    """Convolutions whose output has the given stride."""
    layers, width = [], 3
    for step in range(stride.bit_length() - 1):
        layers += [nn.Conv2d(width, 8 * (step + 1), 3, 2, 1), nn.ReLU()]
        width = 8 * (step + 1)
    return nn.Sequential(*layers, nn.Conv2d(width, out, 3, 1, 1), nn.ReLU())


def cells(targets, stride):
    """Return targets [n, K, h, w] that are 1 in the cells of the figures."""
    side = SIDE // stride
    found = torch.zeros(len(targets), K, side, side)
    for map_, figures in zip(found, targets, strict=True):
        for x, y, label in figures.tolist():
            map_[int(label), min(int(y / stride), side - 1), min(int(x / stride), side - 1)] = 1
    return found


def focal(logits, target):
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    weight = torch.where(target > 0, 20.0, 1.0)
    return (loss * weight).mean() * 10


class Yolo(nn.Module):
    """One box a cell, decoded inside: [n, 4 + K, cells], as YOLOv8 gives them, or YOLOv5's rows."""

    stride = 8

    def __init__(self, version):
        super().__init__()
        self.version = version
        self.body, self.head = body(), nn.Conv2d(16, 4 + K + (version == 5), 1)
        middle = (torch.arange(SIDE // 8) + 0.5) * 8
        y, x = torch.meshgrid(middle, middle, indexing="ij")
        self.register_buffer("centre", torch.stack([x, y])[None])

    def raw(self, tiles):
        return self.head(self.body(tiles))

    def forward(self, tiles):
        raw = self.raw(tiles)
        place = self.centre + 16 * torch.tanh(raw[:, :2])
        size = 40 * torch.exp(raw[:, 2:4].clamp(-2, 2))
        whole = torch.cat([place, size, raw[:, 4:].sigmoid()], 1).flatten(2)
        return whole.transpose(1, 2) if self.version == 5 else whole

    def loss(self, tiles, targets):
        raw, wanted = self.raw(tiles), cells(targets, 8)
        if self.version == 8:
            return focal(raw[:, 4:], wanted)
        return focal(raw[:, 4:5], wanted.amax(1, keepdim=True)) + focal(raw[:, 5:], wanted)

    def inference(self, tiles):
        for rows in self(tiles):
            rows = rows if self.version == 5 else rows.T
            scores = rows[:, 5:] * rows[:, 4:5] if self.version == 5 else rows[:, 4:]
            best, label = scores.max(1)
            yield rows[:, 0], rows[:, 1], best, label


class HeatMap(nn.Module):
    """A U-Net of two levels that gives logits [n, K, h / 2, w / 2].

    Its activations are smooth, so that no two cells are equal: flat tops are tested elsewhere.
    """

    def __init__(self):
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 8, 5, 2, 2), nn.Conv2d(8, 16, 3, 2, 1)
        self.deeper = nn.Conv2d(16, 16, 3, 2, 1)
        self.up, self.last = nn.Conv2d(32, 8, 3, 1, 1), nn.Conv2d(16, K, 3, 1, 1)

    def forward(self, tiles):
        high = F.silu(self.down(tiles))
        deep = F.silu(self.deep(high))
        deeper = F.interpolate(F.silu(self.deeper(deep)), scale_factor=2.0)
        low = F.silu(self.up(torch.cat([deep, deeper], 1)))
        return self.last(torch.cat([high, F.interpolate(low, scale_factor=2.0)], 1))

    def loss(self, tiles, targets):
        wanted = F.max_pool2d(cells(targets, 2), 9, 1, 4)
        return focal(self(tiles), wanted)

    def inference(self, tiles):
        for logits in self(tiles).double():
            top = F.max_pool2d(logits[None], 3, 1, 1)[0] == logits
            label, row, column = top.nonzero(as_tuple=True)
            yield 2 * (column + 0.5), 2 * (row + 0.5), logits[top].sigmoid(), label


class TorchVision(nn.Module):
    """torchvision's RetinaNet or FCOS on a small backbone; backbone and head are exported."""

    def __init__(self, name):
        super().__init__()
        detection = torchvision.models.detection
        backbone = body(32)  # group normalisation in FCOS needs 32
        backbone.out_channels = 32
        anchors = torchvision.models.detection.anchor_utils.AnchorGenerator
        sizes = ((32, 48),) if name == "retinanet" else ((8,),)
        kind = detection.RetinaNet if name == "retinanet" else detection.FCOS
        self.model = kind(
            backbone,
            num_classes=K + 1,
            anchor_generator=anchors(sizes, ((1.0,),)),
            min_size=SIDE,
            max_size=SIDE,
            score_thresh=0.05,
            nms_thresh=1.0,
            detections_per_img=10_000,
            topk_candidates=10_000,
        )
        if name == "retinanet":  # as in version 2: without normalisation it learns slowly
            self.model.head = detection.retinanet.RetinaNetHead(
                32, 2, K + 1, norm_layer=partial(nn.GroupNorm, 8)
            )

    def forward(self, tiles):
        outputs = self.model.head([self.model.backbone(tiles)])
        return tuple(outputs.values())

    def loss(self, tiles, targets):
        self.model.train()
        labels = [
            {
                "boxes": torch.cat([t[:, :2] - 20, t[:, :2] + 20], 1),
                "labels": t[:, 2].long() + 1,
            }
            for t in targets
        ]
        return sum(self.model(list(tiles), labels).values())

    def inference(self, tiles):
        # Boxes are not cut at the border of the tile, which would move their centres.
        with patch.object(torchvision.ops.boxes, "clip_boxes_to_image", lambda boxes, size: boxes):
            every = self.model(list(tiles))
        for found in every:
            x, y = ((found["boxes"][:, i] + found["boxes"][:, i + 2]) / 2 for i in (0, 1))
            yield x, y, found["scores"], found["labels"] - 1


def train(network, steps, rate=5e-3):
    """Train for a few steps and return the network for evaluation."""
    tiles, targets = samples()
    optimiser = torch.optim.Adam(network.parameters(), rate)
    for step in range(steps):
        part = slice(8 * (step % 3), 8 * (step % 3) + 8)
        optimiser.zero_grad()
        network.loss(tiles[part], targets[part]).backward()
        optimiser.step()
    return network.eval()


def export(network, path):
    """Write the graph for one tile."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the exporter concern its own code
        torch.onnx.export(
            network, (torch.zeros(1, 3, SIDE, SIDE),), str(path), dynamo=False, opset_version=17,
        )  # fmt: skip
    return path
