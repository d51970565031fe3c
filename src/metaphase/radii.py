"""The two radii of detection, in micrometres: when a detection matches a label, and when two
detections are one."""

from __future__ import annotations

MATCH_RADIUS_UM = 7.5
"""A detection this near to a labelled figure can match it: the radius of the MIDOG challenges
(Aubreville et al. 2023, Med. Image Anal. 84)."""

MERGE_RADIUS_UM = 7.5
"""Detections this near to each other are merged into the one with the highest score (the default;
a model's card may name another)."""
