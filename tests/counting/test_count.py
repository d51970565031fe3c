from __future__ import annotations

import json

import numpy as np
import pytest

from metaphase.counting.count import SCORE_SHIFT_LIMIT, count_slide
from metaphase.counting.interval import Validation
from metaphase.counting.review import DecisionState, ReviewDecision
from metaphase.counting.window import WindowShape, fields_area_mm2
from metaphase.errors import DetectionsError
from metaphase.figures import Detections
from metaphase.provenance import Provenance


def slide(n=12, score=0.9, **more):
    made = {"width_px": 20_000, "height_px": 20_000, "mpp": 0.25, "threshold": 0.5} | more
    step = np.arange(n) * 100.0 + 9000
    return Detections(step, step, np.full(n, score), provenance=Provenance(image="a.svs", **made))


def test_a_count_has_its_density_interval_and_score():
    result = count_slide(slide(), validation=Validation(80, 20, 20), top=3)
    (best,) = result.hotspots
    assert best.count == result.total == 12
    assert best.hotspot.area_mm2 == pytest.approx(2.0)
    assert best.hotspot.per_mm2 == pytest.approx(6.0)
    assert best.estimate.expected == pytest.approx(12)
    assert best.estimate.low < 12 < best.estimate.high
    assert (best.score.score, best.score.field_diameter_mm) == (2, pytest.approx(0.5046, abs=1e-4))
    assert result.area_mm2 == pytest.approx(25)
    assert result.per_mm2 == pytest.approx(12 / 25)
    json.dumps(result.to_dict(), allow_nan=False)


def test_only_what_reaches_the_threshold_counts():
    assert count_slide(slide(score=0.4)).total == 0
    assert count_slide(slide(score=0.5)).total == 12


def test_the_score_could_tip_near_a_cut():
    firm = count_slide(slide(n=30), validation=Validation(980, 10, 10)).hotspots[0].score
    near = count_slide(slide(n=14), validation=Validation(80, 20, 20)).hotspots[0].score
    assert not firm.could_tip
    assert near.could_tip
    assert set(near.could_be) >= {2, 3}


def test_a_person_replaces_the_machine():
    found = slide()
    all_of_them = [ReviewDecision(x, y, DecisionState.CONFIRMED) for x, y in found.points[:8]]
    all_of_them += [ReviewDecision(x, y, DecisionState.REJECTED) for x, y in found.points[8:]]
    all_of_them += [
        ReviewDecision(9050, 9000, DecisionState.ADDED),
        ReviewDecision(1, 1, DecisionState.ADDED, "other.svs"),
    ]
    result = count_slide(found, decisions=all_of_them, complete=True)
    (best,) = result.hotspots
    assert best.count == 9
    assert (best.estimate.low, best.estimate.high) == (9, 9)
    assert (best.composition.confirmed, best.composition.added, best.composition.unseen) == (
        8,
        1,
        0,
    )


def test_a_slide_without_figures_has_a_count_of_zero():
    result = count_slide(slide(n=0), validation=Validation(80, 20, 20))
    (best,) = result.hotspots
    assert best.count == 0
    assert best.score.score == 1
    assert best.estimate.low == 0


def test_a_field_diameter_scales_the_count_to_ten_fields():
    shape = WindowShape.parse("circle", 1.0)
    result = count_slide(slide(n=8), shape, field_diameter_mm=0.59)
    score = result.hotspots[0].score
    assert score.cuts == (9, 19)
    assert score.score == 3  # 8 in 1 mm2 are 22 in ten fields of 0.59 mm
    assert count_slide(slide(n=8), shape).hotspots[0].score is None


def test_an_image_smaller_than_the_window_says_so():
    result = count_slide(slide(n=3, width_px=4000, height_px=4000))
    assert result.hotspots[0].hotspot.area_mm2 == pytest.approx(1.0)
    assert any("holds 1 of" in note for note in result.notes)


@pytest.mark.parametrize(
    ("side", "diameter", "scaled"), [(4000, 0.5, True), (20_000, 0.5, False), (4000, None, False)]
)
def test_a_score_of_a_scaled_count_says_so(side, diameter, scaled):
    shape = WindowShape(area_mm2=fields_area_mm2(diameter)) if diameter else None
    result = count_slide(
        slide(n=3, width_px=side, height_px=side), shape, field_diameter_mm=diameter
    )
    assert any("times 1.96" in note for note in result.notes) is scaled
    score = result.hotspots[0].score
    if diameter:
        assert score.scaled_by == pytest.approx(1.963 if scaled else 1.0, abs=0.01)


def shifted(ratio, n=12, **more):
    shift = {
        "ratio": ratio,
        "component": "stain",
        "nearest": "Aperio XT",
        "training_images": 28,
        "shifted": ratio > 1,
    }
    return slide(n=n, parameters={"domain_shift": shift}, **more)


@pytest.mark.parametrize(
    ("ratio", "warned", "withheld"),
    [(0.9, False, False), (2.0, True, False), (SCORE_SHIFT_LIMIT + 0.1, True, True)],
)
def test_a_domain_shift_is_carried_along_and_withholds_the_score_above_a_limit(
    ratio, warned, withheld
):
    result = count_slide(shifted(ratio))
    assert any("differs from the training images" in text for text in result.warnings) is warned
    assert result.score_withheld is withheld
    assert (result.hotspots[0].score is None) is withheld
    assert any("No mitotic score" in note for note in result.notes) is withheld
    data = result.to_dict()
    assert data["domain_shift"]["ratio"] == ratio
    assert data["warnings"] == list(result.warnings)
    assert data["score_withheld"] is withheld
    assert result.hotspots[0].count == 12, "the count itself is always reported"


def test_a_complete_review_by_a_reader_has_a_score_on_any_slide():
    found = shifted(SCORE_SHIFT_LIMIT + 1)
    decisions = [ReviewDecision(x, y, DecisionState.CONFIRMED) for x, y in found.points]
    reviewed = count_slide(found, decisions=decisions, complete=True)
    assert reviewed.hotspots[0].score.score == 2
    assert count_slide(found, decisions=decisions).hotspots[0].score is None


def test_without_a_resolution_nothing_is_counted():
    with pytest.raises(DetectionsError, match="um/px"):
        count_slide(slide(mpp=0.0))
