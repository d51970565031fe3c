"""The resolution at which a slide is read for a network.

Resampling costs time and sharpness, and networks are trained with more variation of scale than the
scanners of one magnification show. So a slide is read at a whole multiple of its own um/px where
that is near to what the network expects: as stored, or as means of 2 x 2, 3 x 3, ... pixels.
"""

from __future__ import annotations

NATIVE_WITHIN = 0.03
"""A slide is not resampled if a whole multiple of its um/px is within this share of the model's."""


def native_mpp(slide_mpp: float, network_mpp: float, within: float = NATIVE_WITHIN) -> float | None:
    """Return the whole multiple of ``slide_mpp`` near ``network_mpp``; None where none is near."""
    mpp = slide_mpp * max(1, round(network_mpp / slide_mpp))
    return mpp if abs(mpp / network_mpp - 1) <= within else None


def whole_px(start_px: float, slide_mpp: float, mpp: float) -> float:
    """Return a start near ``start_px`` from which ``mpp`` needs no interpolation.

    That is a whole pixel where ``mpp`` is a whole multiple of the slide's, else ``start_px``.
    """
    step = mpp / slide_mpp
    return float(round(start_px)) if abs(step - round(step)) < 1e-6 else start_px
