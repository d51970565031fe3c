"""Masked places: parts of images whose pixels must not be used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.boxes import as_boxes
from metaphase.errors import InputError
from metaphase.files import read_text
from metaphase.labels.dataset import Case, Dataset

Masked = Mapping[str, FloatArray]
"""Boxes x1, y1, x2, y2 [n, 4] in full-resolution pixels, by case id."""


def load_masked(path: str | Path, cases: Dataset) -> dict[str, FloatArray]:
    """Read masked places, ``{"painted": {"IMAGE.jpg": [[x1, y1, x2, y2], ...]}}``, by case id.

    Images are named with or without suffix, or by the case's id; names of other images are
    ignored. Raises InputError for a file of another form.
    """
    path = Path(path)
    try:
        content: Any = json.loads(read_text(path))["painted"]
        boxes = {str(name): _boxes(value) for name, value in content.items()}
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror}") from error
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise InputError.of(
            path,
            "is not a list of masked places",
            way_out='{"painted": {"IMAGE.jpg": [[x1, y1, x2, y2], ...]}}',
        ) from error
    named = ((case.id, _name_in(boxes, case)) for case in cases)
    return {case_id: boxes[name] for case_id, name in named if name is not None}


def _name_in(boxes: Mapping[str, FloatArray], case: Case) -> str | None:
    names = (case.image.name, case.image.stem) if case.image else ()
    return next((name for name in (*names, case.id) if name in boxes), None)


def _boxes(value: Any) -> FloatArray:
    boxes = np.asarray(value, dtype=np.float64)
    if boxes.size == 0:
        return as_boxes([])
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise ValueError("boxes are x1, y1, x2, y2")
    if (boxes[:, :2] >= boxes[:, 2:]).any():
        raise ValueError("a box's second corner is right of and below its first")
    return as_boxes(boxes)
