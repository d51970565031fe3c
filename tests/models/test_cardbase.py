"""Levels of output maps, and that unknown keys are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from metaphase.models.cardbase import Level


def test_a_level_is_frozen_and_strict():
    level = Level(stride=8, anchors=((32.0, 32.0),))
    with pytest.raises(ValidationError):
        level.stride = 16  # type: ignore[misc]
    for wrong in ({"stride": 0}, {"stride": 8, "anchors": ((0, 1),)}, {"stride": 8, "size": 3}):
        with pytest.raises(ValidationError):
            Level.model_validate(wrong)
