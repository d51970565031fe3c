from __future__ import annotations

from metaphase.radii import MATCH_RADIUS_UM, MERGE_RADIUS_UM


def test_the_matching_radius_is_that_of_midog() -> None:
    assert MATCH_RADIUS_UM == 7.5


def test_merged_detections_cannot_match_two_figures_that_are_farther_apart() -> None:
    assert MERGE_RADIUS_UM <= 2 * MATCH_RADIUS_UM
