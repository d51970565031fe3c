"""torchvision's RetinaNet-ResNet50-FPN-v2, with its anchors and its resize in the open.

The network of the MIDOG 2021 exercise. What torchvision does behind the caller's back is an option
here: the resize of every image to 800 px (``resize``), and the anchors. Left alone, tiles keep
their size and the anchors have the size of the labels at stride 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet50
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import (
    RetinaNet,
    RetinaNet_ResNet50_FPN_V2_Weights,
    RetinaNetHead,
    RetinaNetRegressionHead,
)
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from metaphase.errors import ModelFileError
from metaphase.figures import Label
from metaphase.models.card import HeadSpec, InputSpec
from metaphase.models.cardbase import Level
from metaphase.models.networks.base import Network, Target
from metaphase.models.networks.weightsfile import read_weights
from metaphase.models.options import RetinaNetOptions

_FIRST_STRIDE = 8
_HIDDEN_SIZE = 800
_FPN_LEVELS = 3  # of ResNet itself; the other two are added on top
_LAYERS = ("layer4", "layer3", "layer2", "layer1", "conv1")


class RetinaNetNetwork(Network):
    """RetinaNet with ResNet-50 and a feature pyramid (Lin et al. 2017; Li et al. 2021 for v2)."""

    kind = "retinanet_resnet50_fpn_v2"

    def __init__(self, options: RetinaNetOptions, classes: tuple[Label, ...]) -> None:
        levels = len(options.anchors)
        generator = AnchorGenerator(options.anchors, (options.aspect_ratios,) * levels)
        scale = _HIDDEN_SIZE / options.tile_px if options.resize == "torchvision" else 1.0
        super().__init__(
            classes,
            InputSpec(
                mpp=options.mpp,
                tile_px=options.tile_px,
                margin_px=options.margin_px,
                multiple_px=128,
            ),
            HeadSpec(kind="anchors", levels=_levels(generator, scale), classes=classes),
        )
        self.settings = options
        self.scale = scale
        self.detector = _detector(options, generator, len(classes))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return logits [n, anchors * classes, h, w] and deltas [n, anchors * 4, h, w] a level."""
        x = self.normalise(images)
        if self.scale != 1:
            x = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        features = list(self.detector.backbone(x).values())[: len(self.head.levels)]
        maps: list[Tensor] = []
        for feature in features:
            maps += [self._class_map(feature), self._box_map(feature)]
        return tuple(maps)

    def _class_map(self, feature: Tensor) -> Tensor:
        head = self.detector.head.classification_head
        logits: Tensor = head.cls_logits(head.conv(feature))
        return logits

    def _box_map(self, feature: Tensor) -> Tensor:
        head = self.detector.head.regression_head
        deltas: Tensor = head.bbox_reg(head.conv(feature))
        return deltas

    def loss(self, maps: tuple[Tensor, ...], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Return torchvision's focal ("classification") and box ("bbox_regression") losses."""
        logits = torch.cat([_flat(m.float(), len(self.classes)) for m in maps[0::2]], dim=1)
        deltas = torch.cat([_flat(m.float(), 4) for m in maps[1::2]], dim=1)
        anchors = self._anchors(maps)
        expected = [self._torchvision_targets(target, logits.device) for target in targets]
        losses = self.detector.compute_loss(
            expected, {"cls_logits": logits, "bbox_regression": deltas}, [anchors] * len(targets)
        )
        return dict(losses)

    def _anchors(self, maps: tuple[Tensor, ...]) -> Tensor:
        features = list(maps[0::2])
        h, w = features[0].shape[-2:]
        size = (h * _FIRST_STRIDE, w * _FIRST_STRIDE)
        blank = features[0].new_zeros(1, 3, *size, dtype=torch.float32)
        anchors: Tensor = self.detector.anchor_generator(
            ImageList(blank, [size]), [f.float() for f in features]
        )[0]
        return anchors

    def _torchvision_targets(self, target: Target, device: torch.device) -> dict[str, Tensor]:
        classes = [label.code for label in self.classes]
        keep = torch.tensor(
            [code in classes for code in target["labels"].tolist()], dtype=torch.bool
        )
        labels = [classes.index(code) for code in target["labels"][keep].tolist()]
        return {
            "boxes": (target["boxes"][keep] * self.scale).to(device),
            "labels": torch.tensor(labels, dtype=torch.int64, device=device),
        }


def _flat(maps: Tensor, values: int) -> Tensor:
    """Turn [n, anchors * values, h, w] into torchvision's [n, h * w * anchors, values]."""
    n, channels, h, w = maps.shape
    grid = maps.view(n, channels // values, values, h, w).permute(0, 3, 4, 1, 2)
    return grid.reshape(n, -1, values)


def _levels(generator: AnchorGenerator, scale: float) -> tuple[Level, ...]:
    """Describe the anchors in tile pixels, as torchvision rounds them."""
    levels = []
    for index, cell in enumerate(generator.cell_anchors):
        sizes = ((cell[:, 2:] - cell[:, :2]) / scale).tolist()
        levels.append(
            Level(
                stride=_FIRST_STRIDE * 2**index / scale,
                anchors=tuple((float(w), float(h)) for w, h in sizes),
            )
        )
    return tuple(levels)


def _detector(options: RetinaNetOptions, generator: AnchorGenerator, classes: int) -> Any:
    levels = len(options.anchors)
    extra = LastLevelP6P7(2048, 256) if levels > _FPN_LEVELS else LastLevelMaxPool()
    body = resnet50(weights=None)
    layers = {"layer2": "0", "layer3": "1", "layer4": "2"}
    backbone = BackboneWithFPN(body, layers, [512, 1024, 2048], 256, extra_blocks=extra)
    norm = partial(nn.GroupNorm, 32) if options.head == "v2" else None
    anchors = generator.num_anchors_per_location()[0]
    head = RetinaNetHead(256, anchors, classes, norm_layer=norm)
    if options.head == "v2":
        head.regression_head = RetinaNetRegressionHead(256, anchors, norm_layer=norm)
        head.regression_head._loss_type = "giou"
    detector = RetinaNet(backbone, classes, anchor_generator=generator, head=head)
    if options.weights != "none":
        _load(detector, options.weights)
    _freeze(backbone, options.trainable_backbone_layers, levels)
    return detector


def _freeze(backbone: Any, trainable: int, levels: int) -> None:
    """Freeze as torchvision does; and what no used level needs, or DDP would wait for it."""
    train = [*_LAYERS[:trainable], *(["bn1"] if trainable == len(_LAYERS) else [])]
    for name, parameter in backbone.body.named_parameters():
        if not any(name.startswith(layer) for layer in train):
            parameter.requires_grad_(False)
    for index, block in enumerate(backbone.fpn.layer_blocks):
        if index >= levels:
            block.requires_grad_(False)


def _load(detector: Any, weights: str) -> None:
    """Load COCO weights; the classification layer has other classes and stays new."""
    if weights == "coco":
        try:
            enum = RetinaNet_ResNet50_FPN_V2_Weights.COCO_V1
            state = enum.get_state_dict(progress=True, check_hash=True)
        except (URLError, OSError) as error:
            raise ModelFileError.of(
                "COCO weights of RetinaNet",
                f"cannot be fetched: {error}",
                way_out="name a local file: --set network.weights=FILE",
            ) from error
    else:
        state = read_weights(Path(weights), '"coco" or "none"')
    current = detector.state_dict()
    fitting = {k: v for k, v in state.items() if k in current and current[k].shape == v.shape}
    body = [k for k in current if k.startswith("backbone.body") and k not in fitting]
    if body:
        raise ModelFileError.of(weights, f"does not fit ResNet-50-FPN v2: no {body[0]!r}")
    detector.load_state_dict(fitting, strict=False)
