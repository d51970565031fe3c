"""Figure-free parts of fields, and crops blended into them."""

from __future__ import annotations

import numpy as np

from metaphase.arrays import Pixels
from metaphase.figures import points_of
from metaphase.labels.dataset import Dataset
from metaphase.slides.open import open_case

FEATHER_PX = 8
CLEAR_UM = 10.0
_TRIES = 200


class Grounds:
    """Draws windows without any labelled figure from fields."""

    def __init__(self, fields: Dataset) -> None:
        self._slides = [open_case(case) for case in fields]
        self._figures = [points_of(case.figures, None) for case in fields]

    def draw(self, rng: np.random.Generator, side: int, mpp: float) -> Pixels:
        """Return a window [side, side, 3] at a resolution. Raises ValueError if none is free."""
        for _ in range(_TRIES):
            at = int(rng.integers(len(self._slides)))
            slide, figures = self._slides[at], self._figures[at]
            reach = side * mpp / slide.mpp
            x, y = rng.uniform(0, [slide.width_px - reach, slide.height_px - reach])
            clear = CLEAR_UM / slide.mpp
            low, high = [x - clear, y - clear], [x + reach + clear, y + reach + clear]
            if not ((figures > low) & (figures < high)).all(axis=1).any():
                return slide.read(x, y, side, side, mpp)
        raise ValueError("the fields have no free window of this size")


def pasted(piece: Pixels, x_px: float, y_px: float, ground: Pixels) -> tuple[Pixels, float, float]:
    """Lay a piece with a soft rim on the middle of a ground.

    The piece's place ``x_px, y_px`` comes to the middle; returns the pixels and where it is.
    """
    height, width = piece.shape[:2]
    left, top = round(ground.shape[1] / 2 - x_px), round(ground.shape[0] / 2 - y_px)
    across, down = (_ramp(width), _ramp(height))
    alpha = np.minimum(across[None, :], down[:, None])[..., None]
    whole = ground.copy()
    place = whole[top : top + height, left : left + width]
    place[...] = (place * (1 - alpha) + piece * alpha + 0.5).astype(np.uint8)
    return whole, x_px + left, y_px + top


def disc_replaced(
    image: Pixels, x_px: float, y_px: float, piece: Pixels, radius_px: float
) -> Pixels:
    """Replace a disc by the middle of a piece (its side at least 2 * radius + FEATHER_PX px)."""
    side = min(piece.shape[:2])
    left, top = round(x_px - side / 2), round(y_px - side / 2)
    y, x = np.mgrid[:side, :side] + 0.5
    away = np.hypot(x - (x_px - left), y - (y_px - top))
    alpha = _smooth((radius_px + FEATHER_PX / 2 - away) / FEATHER_PX)[..., None]
    whole = image.copy()
    place = whole[top : top + side, left : left + side]
    mixed = place * (1 - alpha) + piece[:side, :side] * alpha + 0.5
    place[...] = mixed.astype(np.uint8)
    return whole


def _ramp(length: int) -> np.ndarray:
    rim = np.minimum(np.arange(length) + 0.5, length - np.arange(length) - 0.5)
    return _smooth(rim / FEATHER_PX)


def _smooth(t: np.ndarray) -> np.ndarray:
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)
