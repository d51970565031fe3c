"""Mitotic figures by phase: clumped chromatin without a nuclear membrane in a cleared cell.

Appearance of the phases: Donovan et al., Mitotic figures - normal, atypical, and mimics: a guide
to identification, Vet. Pathol. 58 (2021).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaphase.phantom.cell import Cell, coordinates_um, soft_edge
from metaphase.phantom.noise import Field, Generator, smooth_noise

SIDE_UM = 27.0
PHASES: dict[str, float] = {
    "prometaphase": 0.25,
    "metaphase": 0.31,
    "ring form": 0.11,
    "anaphase": 0.15,
    "telophase": 0.12,
    "multipolar": 0.06,
}
"""The phases and their frequencies. Early prophase is left out, because graders do not count it."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """Rotated coordinates around the centre of a cell; x, y [s, s] in um."""

    x: Field
    y: Field
    mpp: float

    @classmethod
    def rotated(cls, rng: Generator, mpp: float) -> Canvas:
        """Return coordinates rotated by a random angle."""
        side = 2 * int(np.ceil(SIDE_UM / 2 / mpp))
        x, y = coordinates_um(side, mpp)
        angle = rng.uniform(0, 2 * np.pi)
        cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        return cls(x * cos + y * sin, y * cos - x * sin, mpp)

    def noise(self, rng: Generator, scale_um: float) -> Field:
        """Return noise of mean 0 and variance 1 that changes over ``scale_um``."""
        return smooth_noise(rng, self.x.shape[0], self.x.shape[1], scale_um / self.mpp)

    def ellipse(self, cx: float, cy: float, a: float, b: float) -> Field:
        """Return roughly the distance in um to an ellipse, negative inside."""
        rho = np.hypot((self.x - np.float32(cx)) / a, (self.y - np.float32(cy)) / b)
        result: Field = (rho - 1) * np.float32(np.sqrt(a * b))
        return result


def mitotic_figure(rng: Generator, phase: str, mpp: float) -> Cell:
    """Return a cell in one of the phases in ``PHASES``."""
    canvas = Canvas.rotated(rng, mpp)
    chromatin, cell = _DRAW[phase](rng, canvas)
    ragged = 0.42 * canvas.noise(rng, 0.55) + 0.38 * canvas.noise(rng, 1.1)
    blur = rng.uniform(0.3, 0.6) if rng.random() < 0.2 else rng.uniform(0.14, 0.3)
    mask = soft_edge(chromatin + np.float32(rng.uniform(0.3, 1.0)) * ragged, blur)
    grain = 1 + 0.10 * canvas.noise(rng, 0.5) + 0.10 * canvas.noise(rng, 1.2)
    dye = mask * grain * np.float32(rng.uniform(1.45, 2.3))
    clear = float(rng.beta(2.2, 1.4))  # from hardly to completely cleared
    return in_cell(rng, canvas, dye, mask, cell, clear)


def in_cell(
    rng: Generator, canvas: Canvas, dye: Field, mask: Field, cell: Field, clear: float
) -> Cell:
    """Put chromatin into a cell whose cytoplasm is cleared by ``clear`` (0 to 1)."""
    inside = soft_edge(cell + 0.35 * canvas.noise(rng, 2.5), 0.45)
    edge = np.exp(-((cell / 0.5) ** 2)) * np.float32(0.12 * clear)
    mottle = 1 + 0.18 * canvas.noise(rng, 0.8)
    keep = 1 - inside * np.float32(clear)
    own_h = inside * (1 - mask) * mottle * np.float32(clear * rng.uniform(0.08, 0.16))
    own_e = inside * (1 - 0.6 * mask) * mottle * np.float32(clear * rng.uniform(0.16, 0.3)) + edge
    return Cell(
        *(_single(dye + own_h), _single(keep * (1 - mask)), _single(own_e)),
        _single(keep * (1 - 0.5 * mask)),
    )


def _single(field: Field) -> Field:
    return np.maximum(field, 0).astype(np.float32)


def _blobs(rng: Generator, canvas: Canvas, count: int, spread: tuple[float, float]) -> Field:
    """Return the distance to the union of several drops scattered around the centre."""
    total = np.full_like(canvas.x, 99.0)
    for _ in range(count):
        cx, cy = rng.normal(0, spread[0]), rng.normal(0, spread[1])
        radius = rng.uniform(0.7, 1.5)
        total = np.minimum(total, canvas.ellipse(cx, cy, radius, radius * rng.uniform(0.7, 1.3)))
    return total


def _cell(rng: Generator, canvas: Canvas) -> Field:
    radius = rng.uniform(6.2, 8.6)
    ratio = rng.uniform(0.85, 1.15)
    return canvas.ellipse(rng.normal(0, 0.5), rng.normal(0, 0.5), radius * ratio, radius / ratio)


def _prometaphase(rng: Generator, canvas: Canvas) -> tuple[Field, Field]:
    spread = rng.uniform(1.3, 2.0)
    shape = (spread * rng.uniform(1, 1.35), spread)
    return _blobs(rng, canvas, int(rng.integers(9, 16)), shape), _cell(rng, canvas)


def _plate(rng: Generator, canvas: Canvas, at: float, length: float, thick: float) -> Field:
    """Return the distance to a slightly bent plate along y, at x = ``at``."""
    bend = rng.normal(0, 0.012) + 0.012 * np.sign(at)
    x = canvas.x + np.float32(bend) * canvas.y**2 - np.float32(at)
    y = canvas.y - np.float32(rng.normal(0, 0.3))
    square = np.abs(x / np.float32(thick)) ** 2.4 + np.abs(y / np.float32(length)) ** 3.2
    result: Field = (square ** np.float32(0.4) - 1) * np.float32(thick)
    return result


def _metaphase(rng: Generator, canvas: Canvas) -> tuple[Field, Field]:
    plate = _plate(rng, canvas, 0.0, rng.uniform(3.8, 5.8), rng.uniform(1.1, 1.8))
    if rng.random() < 0.3:  # a chromosome that has not congressed
        at = rng.uniform(2.0, 3.6) * rng.choice((-1, 1)), rng.normal(0, 2)
        plate = np.minimum(plate, canvas.ellipse(*at, 0.7, 0.5))
    return plate, _cell(rng, canvas)


def _ring(rng: Generator, canvas: Canvas) -> tuple[Field, Field]:
    a, b = rng.uniform(2.8, 3.9, 2)
    thick = rng.uniform(0.85, 1.3) + 0.25 * canvas.noise(rng, 3.0)
    return np.abs(canvas.ellipse(0, 0, a, b)) - thick.astype(np.float32), _cell(rng, canvas)


def _anaphase(rng: Generator, canvas: Canvas) -> tuple[Field, Field]:
    half = rng.uniform(2.0, 3.6)
    length = rng.uniform(2.7, 4.2)
    plates = [_plate(rng, canvas, s * half, length, rng.uniform(0.8, 1.2)) for s in (-1, 1)]
    both = np.minimum(*plates)
    if rng.random() < 0.25:  # an anaphase bridge or a lagging chromosome
        both = np.minimum(both, canvas.ellipse(rng.normal(0, 0.6), rng.normal(0, 1), 0.9, 0.5))
    cell = canvas.ellipse(0, 0, half + rng.uniform(3.6, 4.8), rng.uniform(5.8, 7.2))
    return both, cell


def _telophase(rng: Generator, canvas: Canvas) -> tuple[Field, Field]:
    half = rng.uniform(4.2, 5.8)
    plates = [
        _plate(rng, canvas, s * half, rng.uniform(2.2, 3.2), rng.uniform(0.8, 1.2)) for s in (-1, 1)
    ]
    radius = rng.uniform(4.6, 5.6)
    cells = [canvas.ellipse(s * half * 0.85, 0, radius, radius) for s in (-1, 1)]
    return np.minimum(*plates), np.minimum(*cells)


def _multipolar(rng: Generator, canvas: Canvas) -> tuple[Field, Field]:
    """Return an atypical figure: a plate of three or four arms, between as many poles."""
    arms = int(rng.choice((3, 3, 4)))
    shape = np.full_like(canvas.x, 99.0)
    for turn in (np.arange(arms) + rng.normal(0, 0.1, arms)) * 2 * np.pi / arms:
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        arm = Canvas(canvas.x * cos + canvas.y * sin, canvas.y * cos - canvas.x * sin, canvas.mpp)
        half = rng.uniform(1.8, 2.7)
        shape = np.minimum(shape, arm.ellipse(half, 0, half + 0.3, rng.uniform(0.8, 1.2)))
    return shape, canvas.ellipse(0, 0, rng.uniform(7.2, 8.8), rng.uniform(7.2, 8.8))


_DRAW = {
    "prometaphase": _prometaphase,
    "metaphase": _metaphase,
    "ring form": _ring,
    "anaphase": _anaphase,
    "telophase": _telophase,
    "multipolar": _multipolar,
}
