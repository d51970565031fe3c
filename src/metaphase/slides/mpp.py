"""The resolution of an image, from whoever can be trusted most; never a guess.

Order of trust: the file's own tags, what the label file says, the scanner's known value, the user.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from metaphase.errors import SlideError, UnknownMppError
from metaphase.units import mean_mpp, scanner_mpp

PLAUSIBLE_UM = (0.05, 10.0)
"""Range of mpp that a microscope makes. 72 or 96 dpi (353 and 265 um) is no resolution of it."""

DISAGREEMENT = 0.05
ANISOTROPY = 0.02

_UM_PER_UNIT = {2: 25_400.0, 3: 10_000.0}  # TIFF ResolutionUnit: inch, centimetre
_UM = {"µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "nm": 1e-3, "mm": 1e3}
_OME_UNIT = re.compile(r'PhysicalSize([XY])Unit="([^"]*)"')
_OME_SIZE = re.compile(r'PhysicalSize([XY])="([^"]*)"')
_APERIO = re.compile(r"\bMPP\s*=\s*([0-9.eE+-]+)")


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a file says of its pixels, um/px along x and y, and which tag says so."""

    x: float
    y: float
    tag: str

    @property
    def mpp(self) -> float:
        """The one number, which keeps a pixel's area."""
        return mean_mpp(self.x, self.y)

    @property
    def anisotropy(self) -> float:
        """How much longer the pixel is one way than the other."""
        return max(self.x, self.y) / min(self.x, self.y) - 1


def resolution(x: object, y: object, tag: str) -> Resolution | None:
    """Return a Resolution if both values (numbers or text) are plausible for a microscope."""
    values = []
    for value in (x, y):
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return None
        if not PLAUSIBLE_UM[0] <= number <= PLAUSIBLE_UM[1]:
            return None
        values.append(number)
    return Resolution(values[0], values[1], tag)


def from_density(x: float, y: float, unit: int | None, tag: str) -> Resolution | None:
    """Read pixels per inch (``unit`` 2) or per centimetre (3), as in TIFF."""
    if unit not in _UM_PER_UNIT or not (x > 0 and y > 0):
        return None
    return resolution(_UM_PER_UNIT[unit] / x, _UM_PER_UNIT[unit] / y, tag)


def from_description(text: str) -> Resolution | None:
    """Read a TIFF ImageDescription: OME-XML's PhysicalSize or Aperio's ``MPP = ``."""
    sizes: dict[str, str] = dict(reversed(_OME_SIZE.findall(text)))
    if "X" in sizes:
        units = {axis: _UM.get(unit) for axis, unit in reversed(_OME_UNIT.findall(text))}
        unit_x = units.get("X", 1.0)
        unit_y = units.get("Y", 1.0) if "Y" in sizes else unit_x
        if unit_x is not None and unit_y is not None:
            across, down = sizes["X"], sizes.get("Y", sizes["X"])
            return _scaled(across, down, unit_x, unit_y, "OME PhysicalSize")
    if found := _APERIO.search(text):
        return resolution(found[1], found[1], "ImageDescription MPP")
    return None


def _scaled(x: str, y: str, unit_x: float, unit_y: float, tag: str) -> Resolution | None:
    try:
        return resolution(float(x) * unit_x, float(y) * unit_y, tag)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class MppHints:
    """What others than the file know about a resolution.

    ``force`` lets the user's value win, to put wrong tags right.
    """

    user: float | None = None
    labels: float | None = None
    scanner: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        for name, value in (("--mpp", self.user), ("the labels' mpp", self.labels)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise SlideError.of(
                    name, f"{value} is no resolution", way_out="give um per pixel, such as 0.25"
                )

    def settle(self, path: Path, file: Resolution | None) -> tuple[float, str, tuple[str, ...]]:
        """Return the mpp, who said so, and what the user should be told.

        Raises UnknownMppError, naming the option, if nobody knows.
        """
        voices = [
            ("file", file.mpp if file else None),
            ("labels", self.labels),
            ("scanner", scanner_mpp(self.scanner)),
            ("user", self.user),
        ]
        if self.force and self.user is not None:
            voices.insert(0, voices.pop())
        known = [(source, value) for source, value in voices if value is not None]
        if not known:
            raise UnknownMppError.of(
                path,
                "its resolution is unknown: neither its tags nor a known scanner tell it",
                way_out="give it in um per pixel with --mpp, such as --mpp 0.25",
            )
        source, mpp = known[0]
        notes = [
            f"{path.name}: the {source} says {mpp:.4g} um/px and is used; "
            f"the {other} says {value:.4g} um/px"
            + (" (force_mpp takes yours)" if other == "user" else "")
            for other, value in known[1:]
            if abs(value / mpp - 1) > DISAGREEMENT
        ]
        if file and file.anisotropy > ANISOTROPY:
            notes.append(
                f"{path.name}: pixels are not square ({file.x:.4g} x {file.y:.4g} um); "
                f"their mean {file.mpp:.4g} um is used"
            )
        return mpp, source, tuple(notes)
