"""Single values of label files: what they mean, or a problem that names them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from metaphase.labels.labelfile import LabelFile
from metaphase.values import finite, shown

_YES = {"true", "yes", "y", "1", "labelled", "labeled"}
_NO = {"false", "no", "n", "0", "unlabelled", "unlabeled"}
_LARGEST_SIDE_PX = 10_000_000


def first_text(record: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of several fields that holds text (or a number, as text), or None."""
    for name in names:
        value = record.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool):
            return shown(value)
    return None


def number(file: LabelFile, record: str, name: str, value: Any) -> float | None:
    """Return a finite number; None if there is no value, or it is none (a problem)."""
    result = finite(value)
    if result is None and value is not None and not (isinstance(value, str) and not value.strip()):
        file.problem(record, f"{name} is not a number: {shown(value)}")
    return result


def length_px(file: LabelFile, record: str, name: str, value: Any) -> int | None:
    """Return a number of pixels from 1 to 10 million, or None."""
    result = number(file, record, name, value)
    if result is None:
        return None
    if not 1 <= result <= _LARGEST_SIDE_PX or result != int(result):
        file.problem(record, f"{name} is not a number of pixels: {shown(value)}")
        return None
    return int(result)


def resolution_um(file: LabelFile, record: str, value: Any) -> float | None:
    """Return um per pixel from 0.01 to 100, or None. Two numbers give their geometric mean."""
    if isinstance(value, list | tuple) and len(value) == 2:
        x, y = (number(file, record, "mpp", v) for v in value)
        value = math.sqrt(x * y) if x and y and x > 0 and y > 0 else None
    result = number(file, record, "mpp", value)
    if result is not None and not 0.01 <= result <= 100:
        file.problem(
            record, f"mpp is not a resolution: {shown(value)}", "give um per pixel, such as 0.25"
        )
        return None
    return result


def share(file: LabelFile, record: str, name: str, value: Any) -> float | None:
    """Return a number in [0, 1], or None."""
    result = number(file, record, name, value)
    if result is not None and not 0 <= result <= 1:
        file.problem(record, f"{name} is not between 0 and 1: {shown(value)}")
        return None
    return result


def flag(file: LabelFile, record: str, name: str, value: Any) -> bool | None:
    """Return yes or no, or None if there is no value."""
    if value is None or value == "":
        return None
    word = value.strip().lower() if isinstance(value, str) else shown(value).lower()
    if not word:
        return None
    if word in _YES or word in _NO:
        return word in _YES
    file.problem(record, f"{name} is neither true nor false: {shown(value)}")
    return None


def flag_or_share(file: LabelFile, record: str, name: str, value: Any) -> float | None:
    """Return 1 for yes, 0 for no, or a number in [0, 1]; None if there is no value."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    word = value.strip().lower() if isinstance(value, str) else shown(value).lower()
    if word in _YES or word in _NO:
        return float(word in _YES)
    return share(file, record, name, value)
