"""The resolution of an image, from the most reliable source that knows it; never a guess.

Order of sources: the file's own tags, the label file, the known value of the scanner, the user.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from metaphase.errors import SlideError, UnknownMppError
from metaphase.units import mean_mpp, scanner_mpp

PLAUSIBLE_UM = (0.05, 10.0)
"""Range of mpp that microscopes have. 72 or 96 dpi (353 and 265 um) is a density for screens."""

DISAGREEMENT = 0.05
ANISOTROPY = 0.02

_UM_PER_DENSITY_UNIT = {2: 25_400.0, 3: 10_000.0}  # TIFF ResolutionUnit: inch, centimetre
_UM_PER_UNIT = {
    **dict.fromkeys(("µm", "um", "micron", "microns", "micrometer", "micrometre"), 1.0),
    **dict.fromkeys(("micrometers", "micrometres"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("å", "angstrom", "ångström"), 1e-4),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
    **dict.fromkeys(("in", "inch", "inches"), 25_400.0),
}
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_APERIO = re.compile(r"\bMPP\s*=\s*([0-9.,eE+-]+)")


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a file says about its pixels: um/px along x and y, and the tag that says so."""

    x: float
    y: float
    tag: str

    @property
    def mpp(self) -> float:
        """The single number that keeps the area of a pixel."""
        return mean_mpp(self.x, self.y)

    @property
    def anisotropy(self) -> float:
        """The ratio of a pixel's longer to its shorter side, minus 1."""
        return max(self.x, self.y) / min(self.x, self.y) - 1


def um_per_unit(text: str | None) -> float | None:
    """Return the micrometres of a unit of length as programs spell it; None for other units.

    Both signs for micro are known, and ImageJ's escape ``\\u00B5m``.
    """
    if text is None:
        return None
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    plain = plain.strip().lower().replace("\u03bc", "µ").replace("\u212b", "å")
    return _UM_PER_UNIT.get(plain)


def resolution(x: object, y: object, tag: str) -> Resolution | None:
    """Return a Resolution if both values (numbers or text) are plausible for a microscope."""
    values = []
    for value in (x, y):
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            return None
        if not PLAUSIBLE_UM[0] <= number <= PLAUSIBLE_UM[1]:
            return None
        values.append(number)
    return Resolution(values[0], values[1], tag)


def from_density(x: float, y: float, unit: int | None, tag: str) -> Resolution | None:
    """Read pixels per inch (``unit`` 2) or per centimetre (3), as in TIFF."""
    if unit not in _UM_PER_DENSITY_UNIT or not (x > 0 and y > 0):
        return None
    return resolution(_UM_PER_DENSITY_UNIT[unit] / x, _UM_PER_DENSITY_UNIT[unit] / y, tag)


def from_aperio(text: str) -> Resolution | None:
    """Read ``MPP = 0.25`` in a description by Aperio; ``0,25`` is read too."""
    match = _APERIO.search(text)
    if match is None:
        return None
    value = match[1].replace(",", ".")  # some systems write a decimal comma
    return resolution(value, value, "ImageDescription MPP")


@dataclass(frozen=True, slots=True)
class MppHints:
    """The resolution according to other sources than the file.

    ``force`` gives the user's value precedence, to correct wrong tags.
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

    def resolve(self, path: Path, file: Resolution | None) -> tuple[float, str, tuple[str, ...]]:
        """Return the mpp, its source, and notes for the user.

        Raises UnknownMppError, which names the option, if no source knows it.
        """
        sources = [
            ("file", file.mpp if file else None),
            ("labels", self.labels),
            ("scanner", scanner_mpp(self.scanner)),
            ("user", self.user),
        ]
        if self.force and self.user is not None:
            sources.insert(0, sources.pop())
        values = [(source, value) for source, value in sources if value is not None]
        if not values:
            raise UnknownMppError.of(
                path,
                "its resolution is unknown: neither its tags nor a known scanner give it",
                way_out="give it in um per pixel with --mpp, such as --mpp 0.25",
            )
        source, mpp = values[0]
        notes = [
            f"{path.name}: the {source} says {mpp:.4g} um/px and is used; "
            f"the {other} says {value:.4g} um/px"
            + (" (force_mpp takes yours)" if other == "user" else "")
            for other, value in values[1:]
            if abs(value / mpp - 1) > DISAGREEMENT
        ]
        if file and file.anisotropy > ANISOTROPY:
            notes.append(
                f"{path.name}: pixels are not square ({file.x:.4g} x {file.y:.4g} um); "
                f"their mean {file.mpp:.4g} um is used"
            )
        return mpp, source, tuple(notes)
