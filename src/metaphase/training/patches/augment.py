"""Augmentation of patches: other stains, lamps, scanners and files.

Every function takes and returns uint8 RGB [height, width, 3]; random ones take ``rng``. ``STEPS``
are in the order of image formation: stain, light, colour profile, optics, camera, file. To add a
step, write a function (image, settings, strength, rng) -> image and its section; a step that uses a
patch of another domain gets it as its last argument.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from statistics import NormalDist
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from metaphase.arrays import Float32Array, FloatArray, Pixels, Rng, to_uint8
from metaphase.errors import RecipeError
from metaphase.stain.jitter import VECTOR_METHODS, jitter_stains
from metaphase.stain.macenko import Macenko, estimate_macenko
from metaphase.stain.reinhard import estimate_reinhard
from metaphase.training.patches.colour import apply_matrix, camera_matrix, change_hue
from metaphase.training.patches.fourier import mix_amplitudes
from metaphase.training.patches.symmetry import symmetry, symmetry_boxes, symmetry_points
from metaphase.training.recipe.sections import (
    Augment,
    Blur,
    Camera,
    Colour,
    Fourier,
    Jpeg,
    Noise,
    Sharpen,
    Stain,
    StainTransfer,
    Tone,
)

Partner = Callable[[Rng], "Pixels | None"]
"""Draws a patch of another domain, of the same size; None where there is no other."""

_NORMAL_QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)])


def augment(
    image: Pixels,
    points: FloatArray,
    boxes: FloatArray,
    settings: Augment,
    rng: Rng,
    partner: Partner | None = None,
    stains: Float32Array | None = None,
) -> tuple[Pixels, FloatArray, FloatArray]:
    """Return an augmented patch [size, size, 3], its points [n, 2] and boxes [n, 4], in pixels.

    ``partner`` draws patches of other domains, for the steps that use them.
    ``stains`` are the slide's [3, RGB], where they are known.
    """
    if settings.symmetries:
        turn = int(rng.integers(8))
        size = image.shape[0]
        image, points = symmetry(image, turn), symmetry_points(points, turn, size)
        boxes = symmetry_boxes(boxes, turn, size)
    return vary(image, settings, rng, partner, stains), points, boxes


def vary(
    image: Pixels,
    settings: Augment,
    rng: Rng,
    partner: Partner | None = None,
    stains: Float32Array | None = None,
) -> Pixels:
    """Return the patch after all steps that do not move its figures."""
    # Drawn for every step, so that switching one off does not change the others; in this order,
    # so that recipes without the newer steps give the same patches as before.
    drawn = {name: (rng.random(), rng.spawn(1)[0]) for name in (*_DRAWN_FIRST, *_DRAWN_LAST)}
    for name, step in STEPS:
        section = getattr(settings, name)
        chance, of_step = drawn[name]
        if section is None or settings.strength == 0 or chance >= section.probability:
            continue
        if name in _WITH_PARTNER:
            other = partner(of_step) if partner else None
            image = (
                image if other is None else step(image, section, settings.strength, of_step, other)
            )
        elif name == "stain":
            image = stain(image, section, settings.strength, of_step, stains)
        else:
            image = step(image, section, settings.strength, of_step)
    return np.ascontiguousarray(image)


# --- stain --------------------------------------------------------------------------------------


def stain(
    image: Pixels, settings: Stain, strength: float, rng: Rng, vectors: Float32Array | None = None
) -> Pixels:
    """Change the concentration of each stain at random (``jitter_stains``).

    ``vectors`` [3 stains, RGB] are those of the slide; by default they are fixed or estimated from
    the patch, as ``settings.vectors`` says.
    """
    if vectors is None:
        vectors = stain_vectors(image, settings.vectors)
    multiply, shift = settings.multiply * strength, settings.shift * strength
    return jitter_stains(image, vectors, rng, multiply=multiply, shift=shift)


def stain_vectors(image: Pixels, method: str) -> Float32Array:
    """Return the stain vectors [3, RGB] by one of ``VECTOR_METHODS``. Raises RecipeError."""
    if method not in VECTOR_METHODS:
        raise RecipeError.of(
            "recipe",
            f"unknown stain vectors {method!r}",
            record="augment.stain.vectors",
            way_out=f"one of {', '.join(VECTOR_METHODS)}",
        )
    return VECTOR_METHODS[method](image)


def stain_transfer(
    image: Pixels, settings: StainTransfer, strength: float, rng: Rng, partner: Pixels
) -> Pixels:
    """Replace the stain by that of another domain's patch, where both can be estimated."""
    estimate = estimate_macenko if settings.method == "macenko" else estimate_reinhard
    # A quarter of the pixels is enough.
    source, target = estimate(image[::2, ::2])[0], estimate(partner[::2, ::2])[0]
    if source is None or target is None:
        return image
    if isinstance(source, Macenko) and isinstance(target, Macenko):
        # The amounts of a patch without nuclei are small: they are at most doubled or halved.
        amounts = np.clip(target.amounts, source.amounts / 2, source.amounts * 2)
        target = Macenko(target.vectors, amounts)
    return target.transfer(image, source)  # type: ignore[arg-type]  # both of one kind


def fourier(image: Pixels, settings: Fourier, strength: float, rng: Rng, partner: Pixels) -> Pixels:
    """Mix the amplitudes of low frequency with those of another domain's patch."""
    amount = min(rng.uniform(0, settings.amount) * strength, 1.0)
    return mix_amplitudes(image, partner, beta=settings.beta, amount=amount)


# --- light and colour ---------------------------------------------------------------------------


def tone(image: Pixels, settings: Tone, strength: float, rng: Rng) -> Pixels:
    """Change gamma, contrast around middle grey and brightness, by one table of 256 values."""
    gamma, contrast, brightness = rng.uniform(-1, 1, 3) * strength
    grey = np.arange(256) / 255
    grey = grey ** np.exp(gamma * settings.gamma)
    grey = (grey - 0.5) * (1 + contrast * settings.contrast) + 0.5
    grey = grey + brightness * settings.brightness
    table = to_uint8((grey * 255).astype(np.float32))
    return np.asarray(np.take(table, image))


def colour(image: Pixels, settings: Colour, strength: float, rng: Rng) -> Pixels:
    """Rotate the hue and scale the saturation, in the IQ plane of YIQ."""
    turn, more = rng.uniform(-1, 1, 2) * strength
    return change_hue(image, turn * settings.hue_deg, max(1 + more * settings.saturation, 0))


def camera(image: Pixels, settings: Camera, strength: float, rng: Rng) -> Pixels:
    """Mix the channels, as a camera with other colour filters does."""
    return apply_matrix(image, camera_matrix(rng, settings.matrix * strength))


# --- optics, camera, file -----------------------------------------------------------------------


def blur(image: Pixels, settings: Blur, strength: float, rng: Rng) -> Pixels:
    """Defocus the patch."""
    return gaussian(image, rng.uniform(0, settings.sigma_px * strength))


def sharpen(image: Pixels, settings: Sharpen, strength: float, rng: Rng) -> Pixels:
    """Sharpen by an unsharp mask of sigma 0.5 to 1.5 px, as scanners do."""
    amount = np.float32(rng.uniform(0, settings.amount * strength))
    values = image.astype(np.float32)
    return to_uint8(values + amount * (values - gaussian(image, rng.uniform(0.5, 1.5))))


def gaussian(image: Pixels, sigma_px: float) -> Pixels:
    """Return the image blurred, in integer arithmetic: six times as fast as in floats."""
    if sigma_px < 0.2:  # its weights would round to 1, 0, 0, ...
        return image
    radius = int(np.ceil(3 * sigma_px))
    weights = np.exp(-0.5 * (np.arange(radius + 1) / sigma_px) ** 2)
    weights = np.round(256 * weights / (2 * weights.sum() - weights[0])).astype(np.uint16)
    weights[0] = 256 - 2 * weights[1:].sum()  # 255 * 256 still fits into 16 bits
    return _blur_rows(_blur_rows(image, weights).swapaxes(0, 1), weights).swapaxes(0, 1)


def _blur_rows(image: Pixels, weights: NDArray[np.uint16]) -> Pixels:
    radius, height = len(weights) - 1, len(image)
    padded = np.pad(image, ((radius, radius), (0, 0), (0, 0)), mode="edge").astype(np.uint16)
    total = weights[0] * padded[radius : radius + height]
    total += 128  # rounds to nearest; white is 65,280 + 128
    for away, weight in enumerate(weights[1:], 1):
        total += weight * (
            padded[radius - away : radius - away + height]
            + padded[radius + away : radius + away + height]
        )
    return np.asarray(total >> 8, dtype=np.uint8)


def noise(image: Pixels, settings: Noise, strength: float, rng: Rng) -> Pixels:
    """Add a camera's noise: Gaussian, drawn as one of 256 quantiles (ten times as fast)."""
    sigma = rng.uniform(0, settings.sigma * strength)
    levels = np.round(_NORMAL_QUANTILES * sigma).astype(np.int16)
    grain = np.take(levels, np.frombuffer(rng.bytes(image.size), np.uint8)).reshape(image.shape)
    return np.asarray(np.clip(image + grain, 0, 255), dtype=np.uint8)


def jpeg(image: Pixels, settings: Jpeg, strength: float, rng: Rng) -> Pixels:
    """Compress and decompress. ``strength`` 0 is quality 100, 1 the qualities of the settings."""
    low, high = (max(1, round(100 - (100 - q) * strength)) for q in settings.quality)
    quality = int(rng.integers(low, high, endpoint=True))
    return compressed(image, quality, int(rng.choice([0, 2])))  # 4:4:4 or 4:2:0


def sometimes_compressed(image: Pixels, settings: Jpeg, rng: Rng) -> Pixels:
    """Compress and decompress an image as often as the settings say."""
    return jpeg(image, settings, 1.0, rng) if rng.random() < settings.probability else image


def compressed(image: Pixels, quality: int, subsampling: int) -> Pixels:
    """Return the image after one pass through JPEG; ``subsampling`` is 0 (4:4:4) or 2 (4:2:0)."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(Image.open(stream).convert("RGB"))


SectionT = TypeVar("SectionT", Stain, Tone, Camera, Colour, Blur, Sharpen, Noise, Jpeg)
Step = Callable[[Pixels, SectionT, float, Rng], Pixels]

STEPS: tuple[tuple[str, Callable[..., Pixels]], ...] = (
    ("stain_transfer", stain_transfer),
    ("fourier", fourier),
    ("stain", stain),
    ("tone", tone),
    ("camera", camera),
    ("colour", colour),
    ("blur", blur),
    ("sharpen", sharpen),
    ("noise", noise),
    ("jpeg", jpeg),
)
_WITH_PARTNER = ("stain_transfer", "fourier")
_DRAWN_LAST = ("stain_transfer", "fourier", "camera")
_DRAWN_FIRST = tuple(name for name, _ in STEPS if name not in _DRAWN_LAST)
