"""The mitotic score of the Nottingham grade (Elston and Ellis, Histopathology 19:403, 1991).

The score is for a count in ten high-power fields and depends on the diameter of the field. The
table is that of the British guidelines (NHSBSP Publication 58 with the Royal College of
Pathologists, "Pathology reporting of breast disease", 2005), as Table 1 of the College of American
Pathologists' protocol for invasive carcinoma of the breast repeats it, from 0.40 to 0.69 mm.

Checks: all 30 rows against a published transcription of that Table 1 (release
4.10.0.0), not against the print itself; the ends of the range and the densities of the cuts (3 and
8 a mm2) against Bonert and Tate (2017, doi 10.1186/s12938-016-0301-z); the row of 0.59 mm is Elston
and Ellis's own field of 0.274 mm2 (up to 9, 10 to 19, 20 and more). All rows follow from that one
in proportion to the area, rounded down, which a test checks.

The score was defined for breast cancer. It is one of three parts of a grade and no diagnosis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from metaphase.counting.window import FIELDS
from metaphase.errors import InputError

TABLE: dict[int, tuple[int, int]] = {
    40: (4, 9), 41: (4, 9), 42: (5, 10), 43: (5, 10), 44: (5, 11),
    45: (5, 11), 46: (6, 12), 47: (6, 12), 48: (6, 13), 49: (6, 13),
    50: (7, 14), 51: (7, 14), 52: (7, 15), 53: (8, 16), 54: (8, 16),
    55: (8, 17), 56: (8, 17), 57: (9, 18), 58: (9, 19), 59: (9, 19),
    60: (10, 20), 61: (10, 21), 62: (11, 22), 63: (11, 22), 64: (11, 23),
    65: (12, 24), 66: (12, 24), 67: (12, 25), 68: (13, 26), 69: (13, 27),
}  # fmt: skip
"""Field diameter in 0.01 mm: the highest counts in ten fields for scores 1 and 2."""


@dataclass(frozen=True, slots=True)
class MitoticScore:
    """A score of 1 to 3 for a field diameter, and the scores inside the interval of the count.

    ``cuts`` are the highest counts of scores 1 and 2. ``could_be`` lists the scores inside the
    interval: one where the score is certain. ``scaled_by`` is the factor from the count in the
    window to the count in ten fields.
    """

    score: int
    field_diameter_mm: float
    cuts: tuple[int, int]
    could_be: tuple[int, ...]
    scaled_by: float = 1.0

    @property
    def could_tip(self) -> bool:
        """Whether the interval of the count crosses a cut."""
        return len(self.could_be) > 1


def cuts_for(field_diameter_mm: float) -> tuple[int, int]:
    """Return the highest counts of scores 1 and 2, the diameter rounded to 0.01 mm.

    Raises InputError for a diameter that is not in the table.
    """
    hundredths = round(field_diameter_mm * 100) if math.isfinite(field_diameter_mm) else -1
    if hundredths not in TABLE:
        raise InputError.of(
            "count",
            f"the table of mitotic scores has no field diameter of {field_diameter_mm:g} mm",
            way_out="give the diameter of one high-power field, from 0.40 to 0.69 mm",
        )
    return TABLE[hundredths]


def score_of(count: float, cuts: tuple[int, int]) -> int:
    """Return 1, 2 or 3 for a count in ten fields, rounded to whole figures."""
    whole = math.floor(count + 0.5)
    return 1 + (whole > cuts[0]) + (whole > cuts[1])


def mitotic_score(
    count: float,
    field_diameter_mm: float,
    interval: tuple[float, float] | None = None,
    *,
    scaled_by: float = 1.0,
) -> MitoticScore:
    """Return the score of a count in ten fields of a diameter, and the scores in its interval.

    ``scaled_by`` records the factor that the count was multiplied by. Raises InputError.
    """
    cuts = cuts_for(field_diameter_mm)
    score = score_of(count, cuts)
    low, high = interval or (count, count)
    reached = range(score_of(low, cuts), score_of(high, cuts) + 1)
    could_be = tuple(sorted({score, *reached}))
    return MitoticScore(score, field_diameter_mm, cuts, could_be, scaled_by)


def diameter_of(area_mm2: float) -> float:
    """Return the diameter of a field if ten of them have an area: 0.505 mm for 2 mm2."""
    return math.sqrt(4 * area_mm2 / (math.pi * FIELDS))
