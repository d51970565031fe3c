"""Tissue without nuclei: nests of epithelium in fibrous stroma, with gaps of glass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaphase.phantom.noise import Field, Generator, fibres, smooth_noise


@dataclass
class Tissue:
    """The maps of both dyes [h, w], and where epithelium and glass are (0 to 1, [h, w]).

    ``direction`` is the angle of the fibres in radians.
    """

    mpp: float
    haematoxylin: Field
    eosin: Field
    epithelium: Field
    glass: Field
    direction: float


def draw_tissue(
    rng: Generator,
    width: int,
    height: int,
    mpp: float,
    strength: tuple[float, float] | None = None,
) -> Tissue:
    """Return random tissue. Its composition is random, and so is the strength of haematoxylin
    and eosin unless it is given.
    """
    nests = smooth_noise(rng, height, width, 36 / mpp)
    detail = smooth_noise(rng, height, width, 7 / mpp)
    nests += 0.18 * detail
    epithelium = _ramp(nests + np.float32(rng.uniform(0.2, 0.7)), 0.12)
    strands, direction = fibres(rng, height, width, mpp)
    foam = smooth_noise(rng, height, width, 1.1 / mpp)
    speckle = smooth_noise(rng, height, width, 0.5 / mpp)
    glass = _glass(rng, nests, detail, strands, epithelium, mpp)

    drawn = rng.uniform(0.85, 1.15, 2)
    blue_strength, pink_strength = strength or (float(drawn[0]), float(drawn[1]))
    stroma = 1 - epithelium
    pink = stroma * (0.62 + 0.20 * strands) + epithelium * (0.46 + 0.13 * foam + 0.06 * detail)
    blue = stroma * (0.10 + 0.05 * strands) + epithelium * (0.20 + 0.06 * foam)
    pink += 0.07 * speckle
    blue += 0.03 * speckle
    tissue = 1 - glass
    return Tissue(
        mpp,
        _dye(blue * tissue, blue_strength),
        _dye(pink * tissue, pink_strength),
        *(epithelium, glass, direction),
    )


def _glass(
    rng: Generator, nests: Field, detail: Field, strands: Field, epithelium: Field, mpp: float
) -> Field:
    """Return where there is no tissue: vessels, lumina and clefts between fibres."""
    holes = smooth_noise(rng, nests.shape[0], nests.shape[1], 16 / mpp) + 0.15 * detail
    lumina = _ramp(holes - np.float32(rng.uniform(1.7, 2.3)), 0.08)
    clefts = _ramp(-strands - np.float32(rng.uniform(1.6, 2.2)) + 0.5 * detail, 0.25) * (
        1 - epithelium
    )
    result: Field = np.maximum(lumina, 0.85 * clefts)
    return result


def _ramp(field: Field, softness: float) -> Field:
    """Return 0 below, 1 above zero, and a linear ramp of ``softness`` on either side."""
    result: Field = np.clip(field * np.float32(0.5 / softness) + np.float32(0.5), 0, 1)
    return result


def _dye(field: Field, strength: float) -> Field:
    result: Field = np.maximum(field, 0) * np.float32(strength)
    return result
