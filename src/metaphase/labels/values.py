"""Single values of label files: what they mean, or a problem that names them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from metaphase.labels.reading import Reading

_YES = {"true", "yes", "y", "1", "labelled", "labeled"}
_NO = {"false", "no", "n", "0", "unlabelled", "unlabeled"}


def first_text(record: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of several fields that holds text (or a number, as text), or None."""
    for name in names:
        value = record.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return None


def number(reading: Reading, record: str, name: str, value: Any) -> float | None:
    """Return a finite number; None if there is no value, or it is none (a problem)."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        result = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        result = math.nan
    if not math.isfinite(result):
        reading.problem(record, f"{name} is not a number: {value!r}")
        return None
    return result


def length_px(reading: Reading, record: str, name: str, value: Any) -> int | None:
    """Return a number of pixels above 0, or None."""
    result = number(reading, record, name, value)
    if result is None:
        return None
    if result < 1 or result != int(result):
        reading.problem(record, f"{name} is not a number of pixels: {value!r}")
        return None
    return int(result)


def resolution_um(reading: Reading, record: str, value: Any) -> float | None:
    """Return um per pixel above 0, or None. Two numbers give their geometric mean."""
    if isinstance(value, list | tuple) and len(value) == 2:
        x, y = (resolution_um(reading, record, v) for v in value)
        return math.sqrt(x * y) if x and y else None
    result = number(reading, record, "mpp", value)
    if result is not None and not 0.01 <= result <= 100:
        reading.problem(
            record, f"mpp is no resolution: {value!r}", "give um per pixel, such as 0.25"
        )
        return None
    return result


def share(reading: Reading, record: str, name: str, value: Any) -> float | None:
    """Return a number in [0, 1], or None."""
    result = number(reading, record, name, value)
    if result is not None and not 0 <= result <= 1:
        reading.problem(record, f"{name} is not between 0 and 1: {value!r}")
        return None
    return result


def flag(reading: Reading, record: str, name: str, value: Any) -> bool | None:
    """Return yes or no, or None if there is no value."""
    word = str(value).strip().lower()
    if value is None or not word:
        return None
    if word in _YES or word in _NO:
        return word in _YES
    reading.problem(record, f"{name} is neither true nor false: {value!r}")
    return None


def finite(value: object) -> float | None:
    """Return a finite number, or None for anything else (words and truth values included)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
