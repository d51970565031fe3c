"""Variations of a patch: what another lamp, laboratory, scanner or file would have made of it.

Every function takes and returns uint8 RGB [height, width, 3]; those that draw take ``rng``. The
order of ``STEPS`` is that of the real thing: stain, light, colour profile, optics, camera, file.
To add a method, write a function (image, settings, strength, rng) -> image and a step; one that
takes something of another domain's patch gets that patch as its last argument.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from statistics import NormalDist
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from metaphase.errors import RecipeError
from metaphase.slides.stain import Macenko, macenko_of
from metaphase.thin import covariance, times
from metaphase.training.patches.normalise import apply_matrix, colour_matrix, reinhard_of
from metaphase.training.patches.normalise import fourier as mix_fourier
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

Pixels = NDArray[np.uint8]
Float = NDArray[np.float32]
FloatArray = NDArray[np.float64]
Rng = np.random.Generator
Partner = Callable[[Rng], "Pixels | None"]
"""Draws a patch of another domain, of the same size; None where there is no other."""

RUIFROK: Float = np.array(
    [[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]], dtype=np.float32
)
"""Optical density of haematoxylin, eosin and DAB in R, G, B (Ruifrok and Johnston 2001); the third
stands for whatever is neither."""

_OD = -np.log(np.maximum(np.arange(256), 1) / 255).astype(np.float32)
_NORMAL_QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)])
_FAINT_OD = 0.15
"""Optical density (sum of R, G, B) below which a pixel counts, in part, as unstained."""


def augment(
    image: Pixels,
    points: FloatArray,
    boxes: FloatArray,
    settings: Augment,
    rng: Rng,
    partner: Partner | None = None,
    stains: Float | None = None,
) -> tuple[Pixels, FloatArray, FloatArray]:
    """Return a varied patch [size, size, 3] with its points [n, 2] and boxes [n, 4], in pixels.

    ``partner`` draws patches of other domains, for the steps that take something of them.
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
    stains: Float | None = None,
) -> Pixels:
    """Return the patch with everything varied that leaves its figures where they are."""
    # Drawn even where nothing is done: switching one step off leaves the others as they were.
    # Drawn in this order, so that recipes from before the later steps give what they gave.
    drawn = {name: (rng.random(), rng.spawn(1)[0]) for name in (*_FIRST_DRAWN, *_LATER_DRAWN)}
    for name, step in STEPS:
        section = getattr(settings, name)
        chance, own = drawn[name]
        if section is None or settings.strength == 0 or chance >= section.probability:
            continue
        if name in _WITH_PARTNER:
            other = partner(own) if partner else None
            image = image if other is None else step(image, section, settings.strength, own, other)
        elif name == "stain":
            image = stain(image, section, settings.strength, own, stains)
        else:
            image = step(image, section, settings.strength, own)
    return np.ascontiguousarray(image)


# --- stain --------------------------------------------------------------------------------------


def stain(
    image: Pixels, settings: Stain, strength: float, rng: Rng, vectors: Float | None = None
) -> Pixels:
    """Multiply and shift the concentration of each stain (Tellez et al. 2018, IEEE TMI 37:2126).

    Optical density OD = -ln(I / 255) is unmixed into stains, c = OD M^-1; each is changed to
    ``c (1 ± multiply) ± shift`` and mixed again. Other than in the paper the shift fades out where
    there is no stain, so that white stays white. ``vectors`` [3 stains, RGB] are those of the
    slide; unasked, the patch tells them or they are fixed, as ``settings.vectors`` says.
    """
    if vectors is None:
        vectors = stain_vectors(image, settings.vectors)
    size = min(settings.multiply * strength, 0.95)
    factors = rng.uniform(1 - size, 1 + size, 3).astype(np.float32)
    shifts = rng.uniform(-1, 1, 3).astype(np.float32) * np.float32(settings.shift * strength)
    return mix_stains(image, vectors, factors, shifts)


def mix_stains(image: Pixels, vectors: Float, factors: Float, shifts: Float) -> Pixels:
    """Return the image with the concentration of each stain multiplied and shifted [3 each]."""
    od = np.take(_OD, image.reshape(-1, 3))
    change = np.linalg.inv(vectors) @ np.diag(factors) @ vectors
    mixed = times(od, change.astype(np.float32))
    shift = (shifts @ vectors).astype(np.float32)
    if shift.any():
        stained = np.minimum(times(od, np.full((3, 1), 1 / _FAINT_OD, np.float32)), 1)
        mixed += stained * shift
    np.negative(mixed, out=mixed)
    np.exp(mixed, out=mixed)
    mixed *= 255
    return _to_bytes(mixed).reshape(image.shape)


def stain_vectors(image: Pixels, method: str) -> Float:
    """Return the optical density [3 stains, RGB] of the stains by one of ``STAIN_METHODS``."""
    if method not in STAIN_METHODS:
        raise RecipeError.of(
            "recipe",
            f"unknown stain vectors {method!r}",
            record="augment.stain.vectors",
            way_out=f"one of {', '.join(STAIN_METHODS)}",
        )
    return STAIN_METHODS[method](image)


def macenko(image: Pixels, *, faint: float = 0.45, percentile: float = 1.0) -> Float:
    """Estimate the stains of one image (Macenko et al. 2009, ISBI); Ruifrok's where it cannot.

    The plane of the two strongest directions of the stained pixels' optical density is taken, and
    in it the extreme angles. Images with too little stain, or one stain only, keep fixed vectors.
    """
    od = np.take(_OD, image[::2, ::2].reshape(-1, 3))
    od = od[od.sum(axis=1) > faint]
    if len(od) < 64:
        return RUIFROK
    plane = np.linalg.eigh(covariance(od))[1][:, 1:]
    plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)
    along = times(od, plane)
    angle = np.arctan2(along[:, 0], along[:, 1])
    low, high = np.percentile(angle, [percentile, 100 - percentile])
    found = np.stack([plane @ [np.sin(a), np.cos(a)] for a in (low, high)])
    found = np.maximum(found, 1e-3) / np.linalg.norm(np.maximum(found, 1e-3), axis=1)[:, None]
    if high - low < 0.1:
        return RUIFROK
    first, second = found if found[0, 0] > found[1, 0] else found[::-1]  # haematoxylin takes red
    rest = np.cross(first, second)
    return np.stack([first, second, rest / np.linalg.norm(rest)]).astype(np.float32)


STAIN_METHODS: dict[str, Callable[[Pixels], Float]] = {
    "ruifrok": lambda image: RUIFROK,
    "macenko": macenko,
    "slide": macenko,
}
"""How stain vectors are found of a patch, by the name that recipes use. Others may be added. Where
"slide" is asked for, this is for patches of no one slide, and ``slidestain`` for the rest."""


def stain_transfer(
    image: Pixels, settings: StainTransfer, strength: float, rng: Rng, partner: Pixels
) -> Pixels:
    """Exchange the stain for that of another domain's patch, as far as both can be told."""
    find = macenko_of if settings.method == "macenko" else reinhard_of
    own, theirs = find(image[::2, ::2])[0], find(partner[::2, ::2])[0]  # a quarter tells enough
    if own is None or theirs is None:
        return image
    if isinstance(own, Macenko) and isinstance(theirs, Macenko):
        # A tile's own amounts may be those of a corner without nuclei: no more than doubled.
        amounts = np.clip(theirs.amounts, own.amounts / 2, own.amounts * 2)
        theirs = Macenko(theirs.vectors, amounts)
    return theirs.instead_of(own, image)  # type: ignore[arg-type]  # both of one kind


def fourier(image: Pixels, settings: Fourier, strength: float, rng: Rng, partner: Pixels) -> Pixels:
    """Mix the amplitudes of low frequency with those of another domain's patch."""
    amount = min(rng.uniform(0, settings.amount) * strength, 1.0)
    return mix_fourier(image, partner, beta=settings.beta, amount=amount)


# --- light and colour ---------------------------------------------------------------------------


def tone(image: Pixels, settings: Tone, strength: float, rng: Rng) -> Pixels:
    """Vary gamma, contrast around middle grey, and brightness, through one table of 256 values."""
    gamma, contrast, brightness = rng.uniform(-1, 1, 3) * strength
    grey = np.arange(256) / 255
    grey = grey ** np.exp(gamma * settings.gamma)
    grey = (grey - 0.5) * (1 + contrast * settings.contrast) + 0.5
    grey = grey + brightness * settings.brightness
    table = _to_bytes((grey * 255).astype(np.float32))
    return np.asarray(np.take(table, image))


YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])


def colour(image: Pixels, settings: Colour, strength: float, rng: Rng) -> Pixels:
    """Turn the hue and scale the saturation: a rotation and a factor in the plane of YIQ."""
    turn, more = rng.uniform(-1, 1, 2) * strength
    return turned_colour(image, turn * settings.hue_deg, max(1 + more * settings.saturation, 0))


def turned_colour(image: Pixels, degrees: float, scale: float) -> Pixels:
    """Return the image with the plane of YIQ's I and Q turned and scaled."""
    angle = np.deg2rad(degrees)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.linalg.inv(YIQ) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ YIQ
    mixed = times(image.reshape(-1, 3).astype(np.float32), matrix.T.astype(np.float32))
    return _to_bytes(mixed).reshape(image.shape)


def camera(image: Pixels, settings: Camera, strength: float, rng: Rng) -> Pixels:
    """Let the channels leak into each other, as in a camera with other filters."""
    return apply_matrix(image, colour_matrix(rng, settings.matrix * strength))


# --- optics, camera, file -----------------------------------------------------------------------


def blur(image: Pixels, settings: Blur, strength: float, rng: Rng) -> Pixels:
    """Put the patch out of focus."""
    return gaussian(image, rng.uniform(0, settings.sigma_px * strength))


def sharpen(image: Pixels, settings: Sharpen, strength: float, rng: Rng) -> Pixels:
    """Sharpen by an unsharp mask of sigma 0.5 to 1.5 px, as scanners do."""
    amount = np.float32(rng.uniform(0, settings.amount * strength))
    values = image.astype(np.float32)
    return _to_bytes(values + amount * (values - gaussian(image, rng.uniform(0.5, 1.5))))


def gaussian(image: Pixels, sigma_px: float) -> Pixels:
    """Return the image blurred, in whole numbers: six times as fast as in floats."""
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
    """Compress and decompress. ``strength`` moves the qualities between 100 and themselves."""
    low, high = (max(1, round(100 - (100 - q) * strength)) for q in settings.quality)
    quality = int(rng.integers(low, high, endpoint=True))
    return compressed(image, quality, int(rng.choice([0, 2])))  # 4:4:4 or 4:2:0


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
_LATER_DRAWN = ("stain_transfer", "fourier", "camera")
_FIRST_DRAWN = tuple(name for name, _ in STEPS if name not in _LATER_DRAWN)


def _to_bytes(values: NDArray[np.floating]) -> Pixels:
    """Round to the nearest grey level in 0..255."""
    np.clip(values, 0, 255, out=values)
    values += 0.5
    return values.astype(np.uint8)
