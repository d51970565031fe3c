"""Stain jitter: random changes of the concentration of each stain.

Tellez et al. 2018, "Whole-slide mitosis detection in H&E breast histology using PHH3 as a reference
to train distilled stain-invariant convolutional networks", IEEE Trans. Med. Imaging 37:2126.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from metaphase.arrays import Float32Array, Pixels, Rng
from metaphase.matmul import matmul
from metaphase.stain.macenko import estimate_jitter_vectors
from metaphase.stain.opticaldensity import JITTER
from metaphase.stain.vectors import RUIFROK

MAX_MULTIPLY = 0.95
FADE_DENSITY = 0.15
"""Below this optical density (sum of R, G, B) the shift fades out towards white."""

VECTOR_METHODS: dict[str, Callable[[Pixels], Float32Array]] = {
    "ruifrok": lambda image: RUIFROK,
    "macenko": estimate_jitter_vectors,
    "slide": estimate_jitter_vectors,
}
"""How the stain vectors of a patch are found, by the name that recipes use. Where a recipe says
"slide", this is for patches composed of several slides; other patches have their slide's vectors.
"""


def jitter_stains(
    image: Pixels, vectors: Float32Array, rng: Rng, *, multiply: float, shift: float
) -> Pixels:
    """Return the image [h, w, 3] with the concentrations of its stains changed at random.

    The optical density OD is unmixed into concentrations, ``c = OD vectors^-1``; each is changed to
    ``c (1 ± multiply) ± shift``, uniformly drawn, and mixed again. ``vectors`` are [3, RGB].
    """
    size = min(multiply, MAX_MULTIPLY)
    factors = rng.uniform(1 - size, 1 + size, 3).astype(np.float32)
    shifts = rng.uniform(-1, 1, 3).astype(np.float32) * np.float32(shift)
    return change_stains(image, vectors, factors, shifts)


def change_stains(
    image: Pixels, vectors: Float32Array, factors: Float32Array, shifts: Float32Array
) -> Pixels:
    """Return the image with the concentration of each stain multiplied and shifted [3 each].

    Unlike in the paper the shift fades out where there is no stain, so that white stays white.
    """
    density = JITTER.density(image.reshape(-1, 3))
    change = np.linalg.inv(vectors) @ np.diag(factors) @ vectors
    mixed = matmul(density, change.astype(np.float32))
    shift = (shifts @ vectors).astype(np.float32)
    if shift.any():
        weight = np.full((3, 1), 1 / FADE_DENSITY, np.float32)
        mixed += np.minimum(matmul(density, weight), 1) * shift
    return JITTER.pixels(mixed).reshape(image.shape)
