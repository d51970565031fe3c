"""Nuclei in interphase: many different ones of a kind, rendered at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from metaphase.phantom.cell import Cell, coordinates_um, soft_edge
from metaphase.phantom.noise import Field, Generator, smooth_noise


@dataclass(frozen=True, slots=True)
class Kind:
    """The appearance of one kind of nucleus. Pairs are ranges; lengths are um, dye in units."""

    radius_um: tuple[float, float]
    elongation: tuple[float, float]
    body: tuple[float, float]
    grain: tuple[float, float]
    rim: tuple[float, float]
    nucleoli: int = 0
    ragged: float = 0.05

    def scaled(self, size: float) -> Kind:
        """Return the same kind with radii times ``size``."""
        low, high = self.radius_um
        return replace(self, radius_um=(low * size, high * size))


EPITHELIAL = Kind((3.6, 5.6), (1.0, 1.45), (0.35, 0.7), (0.25, 0.6), (0.4, 0.9), nucleoli=2)
STROMAL = Kind((2.2, 3.2), (2.2, 4.2), (0.7, 1.2), (0.2, 0.5), (0.2, 0.5), ragged=0.07)
LYMPHOID = Kind((2.3, 3.0), (1.0, 1.2), (0.9, 1.5), (0.3, 0.6), (0.2, 0.5), ragged=0.03)
DARK = Kind((3.2, 5.2), (1.05, 1.7), (1.35, 2.1), (0.15, 0.45), (0.2, 0.5), ragged=0.07)


def nuclei(
    rng: Generator, kind: Kind, count: int, mpp: float, direction: float | None = None
) -> list[Cell]:
    """Return ``count`` different nuclei of a kind at ``mpp`` (um/px).

    Their orientation is random, or roughly ``direction`` (radians).
    """
    radius = rng.uniform(kind.radius_um[0], kind.radius_um[1], count)
    stretch = rng.uniform(kind.elongation[0], kind.elongation[1], count) ** 0.5
    reach = float((radius * stretch).max() * (1 + 2 * kind.ragged) + 1)
    side = 2 * int(np.ceil(reach / mpp))
    angle = rng.uniform(0, np.pi, count)
    if direction is not None:
        angle = rng.normal(direction, 0.35, count)
    x, y = coordinates_um(side, mpp)
    cos, sin = _column(np.cos(angle)), _column(np.sin(angle))
    long_um, short_um = _column(radius * stretch), _column(radius / stretch)
    u, v = (x * cos + y * sin) / long_um, (y * cos - x * sin) / short_um
    distance = (np.hypot(u, v) / _outline(rng, kind, u, v) - 1) * np.sqrt(long_um * short_um)
    inside = soft_edge(distance, 0.15)
    dye = _chromatin(rng, kind, distance, radius, mpp) * inside
    keep_e = 1 - np.float32(0.55) * inside
    zero = np.zeros_like(dye[0])
    return [Cell(dye[i], 1 - inside[i], zero, keep_e[i]) for i in range(count)]


def _outline(rng: Generator, kind: Kind, u: Field, v: Field) -> Field:
    """Return the radius [n, s, s], around 1, in the direction of every pixel."""
    outline, phi, n = np.ones_like(u), np.arctan2(v, u), len(u)
    for wave in (2, 3, 4, 5):
        size = _column(rng.normal(0, kind.ragged * 2 / wave, n))
        outline += size * np.cos(wave * phi + _column(rng.uniform(0, 7, n)))
    return outline


def _chromatin(rng: Generator, kind: Kind, distance: Field, radius: Field, mpp: float) -> Field:
    """Return haematoxylin [n, s, s]: body, grains, rim along the membrane and nucleoli."""
    n, side = distance.shape[:2]
    fine = smooth_noise(rng, n * side, side, 0.45 / mpp).reshape(n, side, side)
    coarse = smooth_noise(rng, n * side, side, 1.1 / mpp).reshape(n, side, side)
    grain = np.maximum(0.55 * fine + 0.75 * coarse - 0.1, -0.6)
    rim = np.exp(-(((distance + 0.35) / 0.32) ** 2))
    dye = (
        _drawn(rng, kind.body, n)
        + _drawn(rng, kind.grain, n) * grain
        + _drawn(rng, kind.rim, n) * rim
    )
    x, y = coordinates_um(side, mpp)
    for _ in range(kind.nucleoli):
        cx, cy = (_column(rng.normal(0, 0.33, n) * radius) for _ in range(2))
        size = _drawn(rng, (0.35, 0.8), n)
        spot = np.exp(-((((x - cx) ** 2 + (y - cy) ** 2) / size**2) ** 2))
        dye += _drawn(rng, (0.0, 1.1), n) * spot
    result: Field = np.maximum(dye, 0.05).astype(np.float32)
    return result


def _drawn(rng: Generator, limits: tuple[float, float], count: int) -> Field:
    return _column(rng.uniform(limits[0], limits[1], count))


def _column(values: Field) -> Field:
    return np.asarray(values, np.float32)[:, None, None]
