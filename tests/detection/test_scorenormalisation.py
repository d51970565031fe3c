"""Scores that are normalised by those of an image's many candidates."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.detection.scorenormalisation import (
    LEAST_CANDIDATES,
    cellular_area_px,
    score_level,
    with_normalised_scores,
)
from metaphase.figures import Detections, Label
from metaphase.models.card import ScoreNormalisation
from metaphase.provenance import Provenance

NORMALISATION = ScoreNormalisation(per_mm2=100, weight=1.0, reference=-4.0, most=2.0, usual=-5.0)
SIDE = 4000  # px of 0.25 um: 1 mm2


def image(logits: np.ndarray, labels: np.ndarray | None = None) -> Detections:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, SIDE, (2, len(logits)))
    label = np.full(len(logits), Label.MITOTIC.code) if labels is None else labels
    provenance = Provenance(image="a.png", width_px=SIDE, height_px=SIDE, mpp=0.25, threshold=0.5)
    return Detections(x, y, 1 / (1 + np.exp(-logits)), label, provenance=provenance)


def normalised(detections: Detections, normalisation: ScoreNormalisation | None) -> Detections:
    plan: Any = SimpleNamespace(box_px=(0, 0, SIDE, SIDE))
    return with_normalised_scores(detections, plan, normalisation)


def logits_of(detections: Detections) -> np.ndarray:
    return np.log(detections.score / (1 - detections.score))


def candidates(level: float, n: int = 300) -> np.ndarray:
    return np.random.default_rng(1).normal(level, 1.0, n)


@pytest.mark.parametrize("level", [-4.5, -3.5])
def test_images_on_which_everything_scores_higher_get_the_same_scores(level: float) -> None:
    """Two images that differ by an offset of all logits are equal after normalisation."""
    one = normalised(image(candidates(level)), NORMALISATION)
    other = normalised(image(candidates(level) + 0.7), NORMALISATION)
    assert logits_of(one) == pytest.approx(logits_of(other), abs=0.01)
    before, after = (d.provenance.parameters.score_shift for d in (one, other))
    assert before is not None
    assert after is not None
    assert before - after == pytest.approx(0.7, abs=0.01)


def test_the_shift_has_a_limit() -> None:
    found = normalised(image(candidates(3.0)), NORMALISATION)
    assert found.provenance.parameters.score_shift == -2.0
    assert logits_of(found) == pytest.approx(np.sort(candidates(3.0))[::-1] - 2, abs=0.02)


def test_other_labels_keep_their_scores() -> None:
    labels = np.full(300, Label.MITOTIC.code)
    labels[::3] = Label.HARD_NEGATIVE.code
    before = image(candidates(-3.0), labels)
    after = normalised(before, NORMALISATION)
    for code, changed in ((Label.HARD_NEGATIVE.code, False), (Label.MITOTIC.code, True)):
        old, new = (np.sort(d.score[d.label == code]) for d in (before, after))
        assert (new < old).all() == changed
        assert np.array_equal(new, old) != changed


def test_without_a_normalisation_nothing_changes() -> None:
    before = image(candidates(-3.0))
    assert normalised(before, None) is before


def test_an_image_with_few_candidates_has_the_usual_level() -> None:
    """A crop is too small to show what is usual on its scanner."""
    before = image(candidates(-1.0, LEAST_CANDIDATES - 1))
    after = normalised(before, NORMALISATION)
    assert logits_of(after) == pytest.approx(logits_of(before) + 1.0, abs=1e-3)
    assert after.provenance.parameters.score_level is None
    assert after.provenance.parameters.score_shift == 1.0


@given(
    st.lists(st.floats(-9, 9), min_size=LEAST_CANDIDATES, max_size=80),
    st.floats(0.1, 5),
    st.floats(10, 200),
)
def test_at_most_the_density_exceeds_the_level(
    logits: list[float], area: float, per_mm2: float
) -> None:
    level = score_level(np.array(logits), area, per_mm2)
    if level is None:
        assert int(per_mm2 * area) < LEAST_CANDIDATES
    else:
        assert level in logits
        assert sum(z > level for z in logits) <= per_mm2 * area


@given(
    st.lists(st.tuples(st.floats(0, 999), st.floats(0, 499)), max_size=40),
    st.floats(50, 400),
)
def test_the_area_is_that_of_the_squares_with_a_candidate(
    points: list[tuple[float, float]], cell: float
) -> None:
    area = cellular_area_px(np.array(points).reshape(-1, 2), (0, 0, 1000, 500), cell)
    assert area <= 1000 * 500 + 1e-6
    assert area <= len(set(points)) * cell**2 + 1e-6
    assert (area > 0) == bool(points)


def test_tissue_without_candidates_does_not_count() -> None:
    """Half of the image is empty: the level is that of the other half."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0, [2000, 4000], (2000, 2))
    assert cellular_area_px(points, (0, 0, SIDE, SIDE), 500) == pytest.approx(2000 * 4000)
