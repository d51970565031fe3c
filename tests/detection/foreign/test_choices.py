"""What is not stated is found out."""

from __future__ import annotations

from dataclasses import fields

from metaphase.detection.foreign.choices import Choices
from metaphase.radii import MERGE_RADIUS_UM


def test_all_but_kind_and_resolution_may_be_left_open():
    choices = Choices(kind="points", mpp=0.5)
    stated = {f.name for f in fields(choices) if getattr(choices, f.name) is not None}
    assert stated == {"kind", "mpp", "resize", "merge_radius_um"}
    assert choices.merge_radius_um == MERGE_RADIUS_UM
