"""Hard negatives: dark nuclei that can be mistaken for mitotic figures."""

from __future__ import annotations

import numpy as np

from metaphase.phantom.cell import Cell, soft_edge
from metaphase.phantom.interphase import DARK, nuclei
from metaphase.phantom.mitoses import Canvas, in_cell
from metaphase.phantom.noise import Field, Generator

HARD_NEGATIVE_TYPES: dict[str, float] = {
    "pyknotic": 0.22,
    "apoptotic": 0.18,
    "hyperchromatic": 0.20,
    "out of focus": 0.13,
    "dark spindle": 0.13,
    "smudged": 0.14,
}
"""The kinds of hard negatives and their frequencies."""


def hard_negative(rng: Generator, kind: str, mpp: float) -> Cell:
    """Return a nucleus of one of the kinds in ``HARD_NEGATIVE_TYPES``."""
    return _DRAW[kind](rng, mpp)


def _shrunken(rng: Generator, canvas: Canvas, shape: Field, radius: float) -> Cell:
    """Draw smooth, evenly dark chromatin in a shrunken cell of dense pink cytoplasm."""
    mask = soft_edge(shape + 0.12 * canvas.noise(rng, 1.5), rng.uniform(0.2, 0.35))
    dye = mask * (1 + 0.04 * canvas.noise(rng, 0.8)) * np.float32(rng.uniform(1.5, 2.4))
    cell = canvas.ellipse(0, 0, radius * rng.uniform(0.9, 1.1), radius)
    if rng.random() < 0.3:  # surrounded by a gap, like a cleared cell
        gap = canvas.ellipse(0, 0, radius + 2.2, radius + 2.0)
        base = in_cell(rng, canvas, dye, mask, gap, float(rng.uniform(0.5, 0.9)))
    else:
        base = in_cell(rng, canvas, dye, mask, cell, 0.2)
    pink = soft_edge(cell, 0.5) * (1 - mask) * np.float32(rng.uniform(0.15, 0.6))
    return Cell(base.h_add, base.h_keep, base.e_add + pink, base.e_keep)


def _pyknotic(rng: Generator, mpp: float) -> Cell:
    canvas = Canvas.rotated(rng, mpp)
    radius = rng.uniform(1.9, 3.6)
    ratio = rng.uniform(1.0, 1.35)
    shape = canvas.ellipse(0, 0, radius * ratio, radius / ratio)
    return _shrunken(rng, canvas, shape, radius + rng.uniform(1.2, 3.0))


def _apoptotic(rng: Generator, mpp: float) -> Cell:
    canvas = Canvas.rotated(rng, mpp)
    shape = canvas.ellipse(0, 0, rng.uniform(1.3, 2.3), rng.uniform(1.3, 2.3))
    for _ in range(int(rng.integers(2, 6))):
        radius = rng.uniform(0.5, 1.3)
        x, y = rng.normal(0, 2.1), rng.normal(0, 2.1)
        shape = np.minimum(shape, canvas.ellipse(x, y, radius, radius))
    return _shrunken(rng, canvas, shape, rng.uniform(4.0, 5.5))


def _hyperchromatic(rng: Generator, mpp: float) -> Cell:
    return nuclei(rng, DARK, 1, mpp)[0]


def _out_of_focus(rng: Generator, mpp: float) -> Cell:
    canvas = Canvas.rotated(rng, mpp)
    a, b = rng.uniform(2.4, 4.6), rng.uniform(2.0, 3.2)
    shape = canvas.ellipse(0, 0, a, b) + 0.5 * canvas.noise(rng, 2.2)
    mask = soft_edge(shape, rng.uniform(0.6, 1.0))
    dye = mask * np.float32(rng.uniform(1.4, 2.1))
    return in_cell(rng, canvas, dye, mask, canvas.ellipse(0, 0, a + 1, b + 1), 0.1)


def _dark_spindle(rng: Generator, mpp: float) -> Cell:
    """Draw a smooth, dark, tapered nucleus seen from its edge, which resembles a plate."""
    canvas = Canvas.rotated(rng, mpp)
    a, b = rng.uniform(3.6, 6.5), rng.uniform(1.2, 2.0)
    bent = Canvas(canvas.x, canvas.y + np.float32(rng.normal(0, 0.02)) * canvas.x**2, mpp)
    mask = soft_edge(
        bent.ellipse(0, 0, a, b) + 0.12 * canvas.noise(rng, 1.2), rng.uniform(0.15, 0.3)
    )
    dye = mask * (1 + 0.08 * canvas.noise(rng, 0.7)) * np.float32(rng.uniform(1.4, 2.2))
    clear = float(rng.uniform(0.3, 0.7)) if rng.random() < 0.3 else 0.05
    return in_cell(rng, canvas, dye, mask, canvas.ellipse(0, 0, a + 1.5, b + 3), clear)


def _smudged(rng: Generator, mpp: float) -> Cell:
    """Draw a dying nucleus with an uneven outline, the kind graders disagree about most."""
    canvas = Canvas.rotated(rng, mpp)
    a, b = rng.uniform(2.4, 4.6), rng.uniform(1.8, 2.8)
    shape = (
        canvas.ellipse(0, 0, a, b) + 0.45 * canvas.noise(rng, 1.3) + 0.15 * canvas.noise(rng, 0.6)
    )
    return _shrunken(rng, canvas, shape, max(a, b) + rng.uniform(0.8, 2.4))


_DRAW = {
    "pyknotic": _pyknotic,
    "apoptotic": _apoptotic,
    "hyperchromatic": _hyperchromatic,
    "out of focus": _out_of_focus,
    "dark spindle": _dark_spindle,
    "smudged": _smudged,
}
