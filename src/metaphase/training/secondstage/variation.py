"""Variation of a batch of contexts, by PyTorch: shape, colour and optics of scanners and stains.

All numbers are drawn from the generator that is given, in a fixed order, so that a step is the same
in every run. ``Augment.strength`` multiplies the ranges of colour and optics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from metaphase.arrays import IntArray, Pixels
from metaphase.models.card import InputSpec
from metaphase.training.patches.scannerfilters import SIDE, load_filters
from metaphase.training.recipe.sections import Augment, Scanner, SecondStage
from metaphase.training.secondstage.contexts import Contexts, Origin

MIXING = 0.15
"""Off-diagonal and relative change of optical densities: stains of another hue and strength."""
GAIN, GAMMA, CONTRAST, SATURATION = 0.35, 0.25, 0.2, 0.35
BRIGHTNESS = (-18.0, 12.0)
BLUR_PX = 1.3
SHARPEN = 0.9
NOISE = 7.0
"""Grey levels of 255."""
_RADIUS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Colours:
    """Mean and standard deviation [origins, 3] of the optical density of stained pixels."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, contexts: Contexts, most: int = 60) -> Colours:
        """Measure every origin on its first contexts."""
        rows = [_colours(contexts.pixels[contexts.origin == n][:most]) for n in
                range(len(contexts.origins))]  # fmt: skip
        mean, std = (np.stack(part).astype(np.float32) for part in zip(*rows, strict=True))
        return cls(torch.from_numpy(mean), torch.from_numpy(std))


def _colours(pixels: Pixels) -> tuple[np.ndarray, np.ndarray]:
    quarter = pixels.shape[1] // 8
    middle = pixels[:, quarter:-quarter:4, quarter:-quarter:4].reshape(-1, 3)
    density = -np.log(np.maximum(middle, 1) / 255.0)
    stained = density[density.sum(axis=1) > 0.3]
    chosen = stained if len(stained) > 50 else density
    return chosen.mean(axis=0), chosen.std(axis=0) + 1e-3


class Translation:
    """Translates contexts of some scanners to a second scanner (``scannerfilters``)."""

    def __init__(self, settings: Scanner, origins: Sequence[Origin]) -> None:
        filters = load_filters(settings.filters, settings.without)
        self.settings = settings
        self.weights = torch.from_numpy(filters.weights)
        self.offset = torch.from_numpy(filters.offset)
        chosen = [not settings.scanners or o.scanner in settings.scanners for o in origins]
        self.translated = torch.tensor(chosen, dtype=torch.float32)

    def __call__(self, images: Tensor, origin: Tensor, draw: _Draw) -> Tensor:
        """Return images [n, 3, h, w], each translated by another filter, a part of the way."""
        n, _, height, width = images.shape
        which = torch.randint(len(self.weights), (n,), generator=draw.generator)
        amount = draw(0, self.settings.amount) * (draw(0, 1) < self.settings.probability)
        amount = amount * self.translated[origin]
        same = torch.zeros_like(self.weights[0])
        same[range(3), range(3), SIDE // 2, SIDE // 2] = 1
        part = amount[:, None, None, None, None]
        weights = (1 - part) * same + part * self.weights[which]
        padded = F.pad(images, (SIDE // 2,) * 4, mode="reflect")
        rows = padded.reshape(1, n * 3, height + SIDE - 1, width + SIDE - 1)
        filtered = F.conv2d(rows, weights.reshape(n * 3, 3, SIDE, SIDE), groups=n)
        offset = _wide(amount[:, None] * self.offset[which])
        return (filtered.reshape(images.shape) + offset).clamp(0, 255)


class Variation:
    """Makes windows float [n, h, w, 3] in 0..255 of contexts uint8 [n, side, side, 3].

    ``mpp`` is the resolution of the contexts; ``window`` says what the network takes.
    """

    def __init__(
        self,
        colours: Colours,
        augment: Augment,
        settings: SecondStage,
        *,
        mpp: float,
        window: InputSpec,
        origins: Sequence[Origin] = (),
    ) -> None:
        self.translation = augment.scanner and Translation(augment.scanner, origins)
        self.colours, self.augment, self.settings = colours, augment, settings
        self.mpp, self.window = mpp, window

    def __call__(self, pixels: Pixels, origin: IntArray, generator: torch.Generator) -> Tensor:
        """Return the windows of one step."""
        draw = _Draw(generator, len(pixels))
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
        if self.translation:
            images = self.translation(images, torch.from_numpy(origin), draw)
        images = self._shape(images, draw)
        strength = self.augment.strength
        if strength > 0:
            images = self._transfer(images, torch.from_numpy(origin), draw)
            images = _stain(images, strength, draw)
            images = _tone(images, strength, draw)
            images = _optics(images, strength, draw)
        return images.clamp(0, 255).permute(0, 2, 3, 1)

    def _shape(self, images: Tensor, draw: _Draw) -> Tensor:
        """Rotate, mirror, scale and shift; half of the rotations are whole quarters."""
        side = images.shape[-1]
        if self.augment.symmetries:
            quarters = torch.floor(draw(0, 4)) * (torch.pi / 2)
            angle = torch.where(draw(0, 1) < 0.5, quarters, draw(0, 2 * torch.pi))
            mirror = torch.where(draw(0, 1) < 0.5, 1.0, -1.0)
        else:
            angle, mirror = torch.zeros(draw.n), torch.ones(draw.n)
        jitter = self.augment.mpp_jitter
        context_um = side * self.mpp
        window_px = self.window.tile_px
        scale = torch.exp(draw(-jitter, jitter)) * window_px * self.window.mpp / context_um
        reach = 2 * self.settings.jitter_um / context_um
        matrix = torch.zeros(draw.n, 2, 3)
        matrix[:, 0, 0], matrix[:, 0, 1] = scale * angle.cos() * mirror, -scale * angle.sin()
        matrix[:, 1, 0], matrix[:, 1, 1] = scale * angle.sin() * mirror, scale * angle.cos()
        matrix[:, 0, 2], matrix[:, 1, 2] = draw(-reach, reach), draw(-reach, reach)
        grid = F.affine_grid(matrix, [draw.n, 3, window_px, window_px], align_corners=False)
        return F.grid_sample(
            images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
        )

    def _transfer(self, images: Tensor, origin: Tensor, draw: _Draw) -> Tensor:
        """Move mean and spread of the optical density towards those of another slide."""
        colours = self.colours
        other = torch.randint(len(colours.mean), (draw.n,), generator=draw.generator)
        amount = (draw(0, 1) * (draw(0, 1) < self.settings.colour_transfer))[:, None]
        gain = (colours.std[other] / colours.std[origin]).clamp(0.5, 2) ** amount
        mean = colours.mean[origin]
        shift = mean + amount * (colours.mean[other] - mean) - gain * mean
        density = _density(images)
        stained = (density.sum(1, keepdim=True) / 0.3).clamp(max=1)
        return _intensity(density * _wide(gain) + stained * _wide(shift))


class _Draw:
    """Uniform random numbers [n] from a generator."""

    def __init__(self, generator: torch.Generator, n: int) -> None:
        self.generator, self.n = generator, n

    def __call__(self, low: float, high: float) -> Tensor:
        return torch.rand(self.n, generator=self.generator) * (high - low) + low


def _stain(images: Tensor, strength: float, draw: _Draw) -> Tensor:
    mixing = (torch.rand(draw.n, 3, 3, generator=draw.generator) - 0.5) * 2 * MIXING * strength
    mixing = mixing * (draw(0, 1) < 0.8).float()[:, None, None]
    matrix = (torch.eye(3) + mixing) * torch.exp(draw(-GAIN * strength, GAIN * strength))[
        :, None, None
    ]
    return _intensity(torch.einsum("nij,njhw->nihw", matrix, _density(images)))


def _tone(images: Tensor, strength: float, draw: _Draw) -> Tensor:
    gamma = torch.exp(draw(-GAMMA * strength, GAMMA * strength))
    brightness = draw(BRIGHTNESS[0] * strength, BRIGHTNESS[1] * strength)
    contrast = 1 + draw(-CONTRAST * strength, CONTRAST * strength)
    images = (images / 255).clamp(1e-4, 1) ** _wide(gamma) * 255
    images = (images - 128) * _wide(contrast) + 128 + _wide(brightness)
    grey = images.mean(1, keepdim=True)
    saturation = 1 + draw(-SATURATION * strength, SATURATION * strength)
    return (grey + (images - grey) * _wide(saturation)).clamp(0, 255)


def _optics(images: Tensor, strength: float, draw: _Draw) -> Tensor:
    """Blur or sharpen some windows, and add noise to some."""
    blurred = _gaussian(images, draw(0.05, BLUR_PX) * strength + 1e-3)
    which, amount = draw(0, 1), draw(0, SHARPEN * strength)
    blur = torch.where(which < 0.35, 1.0, torch.where(which < 0.6, -amount, 0.0))
    images = images + _wide(blur) * (blurred - images)
    level = (draw(0, 1) < 0.4).float() * draw(0, NOISE * strength)
    return images + torch.randn(images.shape, generator=draw.generator) * _wide(level)


def _gaussian(images: Tensor, sigma: Tensor) -> Tensor:
    n, channels, height, width = images.shape
    at = torch.arange(-_RADIUS, _RADIUS + 1).float()
    weights = torch.exp(-0.5 * (at[None] / sigma[:, None]) ** 2)
    weights = (weights / weights.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    rows = images.reshape(1, n * channels, height, width)
    rows = F.pad(rows, (_RADIUS, _RADIUS, 0, 0), mode="reflect")
    rows = F.conv2d(rows, weights[:, None, None, :], groups=n * channels)
    rows = F.pad(rows, (0, 0, _RADIUS, _RADIUS), mode="reflect")
    return F.conv2d(rows, weights[:, None, :, None], groups=n * channels).reshape(images.shape)


def _density(images: Tensor) -> Tensor:
    return -torch.log(images.clamp(1, 255) / 255)


def _intensity(density: Tensor) -> Tensor:
    return torch.exp(-density.clamp(min=0)) * 255


def _wide(values: Tensor) -> Tensor:
    """Give values [n] or [n, 3] the two axes of pixels."""
    return values.reshape(len(values), -1, 1, 1)
