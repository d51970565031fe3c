"""Micrometres and pixels.

A resolution is a single number, ``mpp``: micrometres per pixel at full resolution, the same along x
and y. Readers of files with two values give their geometric mean.
"""

from __future__ import annotations

import math

SCANNER_MPP: dict[str, float] = {
    "Hamamatsu XR": 0.2268,
    "Hamamatsu S360": 0.2299,
    "Aperio CS2": 0.2533,
    "Aperio XT": 0.2456,
    "Leica GT450": 0.263,
    "3DHistech": 0.2482,
}
"""Full-resolution mpp of the scanners of MIDOG, TUPAC16 and ICPR 2012, at 40x."""

_ALIASES = {
    "hamamatsu xr": "Hamamatsu XR",
    "hamammatsu xr": "Hamamatsu XR",  # as spelled in MIDOG++'s own table
    "hamamatsu nanozoomer xr": "Hamamatsu XR",
    "hamamatsu s360": "Hamamatsu S360",
    "hamamatsu nanozoomer s360": "Hamamatsu S360",
    "aperio cs2": "Aperio CS2",
    "aperio scanscope cs2": "Aperio CS2",
    "aperio xt": "Aperio XT",
    "aperio scanscope xt": "Aperio XT",
    "leica gt450": "Leica GT450",
    "aperio gt450": "Leica GT450",
    "3dhistech": "3DHistech",
    "3d histech": "3DHistech",  # as spelled in MIDOG++'s own table
    "3dhistech pannoramic scan ii": "3DHistech",
}


def scanner_name(name: str | None) -> str | None:
    """Return the scanner's usual name for a spelling of it; unknown names are kept as they are."""
    if name is None or not name.strip():
        return None
    clean = " ".join(name.split())
    return _ALIASES.get(clean.lower(), clean)


def scanner_mpp(name: str | None) -> float | None:
    """Return the known mpp (um/px) of a scanner at 40x, or None."""
    return SCANNER_MPP.get(scanner_name(name) or "")


def um_to_px(length_um: float, mpp: float) -> float:
    """Convert a length in micrometres to pixels."""
    return length_um / mpp


def px_to_um(length_px: float, mpp: float) -> float:
    """Convert a length in pixels to micrometres."""
    return length_px * mpp


def area_mm2(width_px: float, height_px: float, mpp: float) -> float:
    """Return the area in mm2 of a rectangle given in pixels."""
    return width_px * mpp * height_px * mpp * 1e-6


def mean_mpp(x: float, y: float) -> float:
    """Return the one mpp that keeps the area of a pixel of ``x`` by ``y`` um."""
    return math.sqrt(x * y)
