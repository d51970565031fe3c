"""Single values from files: which are numbers or positions, and how to show one in a message."""

from __future__ import annotations

import math
import re

MAX_SHOWN = 60
_ESCAPED_BYTE = re.compile(r"\\u(dc[89a-f][0-9a-f])")
_NUMBERS = (int, float, str)
MAX_POSITION_PX = 2.0**32
"""Farther from the corner than any pixel of an image: DICOM counts pixels in 32 bits."""


def finite(value: object) -> float | None:
    """Return a finite number, or None for anything else (other words and truth values included)."""
    if type(value) is float:  # the usual case, a million times in a file
        return value if math.isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        return None
    if isinstance(value, str) and "_" in value:  # digits grouped as in programs, not in files
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):  # words; integers over 1e308
        return None
    return number if math.isfinite(number) else None


def position(value: object) -> float | None:
    """Return a coordinate in px, or None where it is no number, or farther than any image."""
    number = value if type(value) is float else finite(value)
    if number is None or not -MAX_POSITION_PX <= number <= MAX_POSITION_PX:  # NaN compares false
        return None
    return number


def printable_name(name: str) -> str:
    """Return a file's name as UTF-8 text, with escapes such as ``\\udcff`` for other bytes."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def name_of_file(text: str) -> str:
    """Return the file's name that ``printable_name`` was given."""
    return (
        _ESCAPED_BYTE.sub(lambda match: chr(int(match[1], 16)), text) if "\\udc" in text else text
    )


def shown(value: object) -> str:
    """Return the ``repr`` of a value, cut to ``MAX_SHOWN`` characters, for a message."""
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python prints
        return f"a {type(value).__name__} of very many digits"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."
