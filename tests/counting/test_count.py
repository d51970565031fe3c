from __future__ import annotations

import json

import numpy as np
import pytest

from metaphase.counting.count import count_slide
from metaphase.counting.interval import Validation
from metaphase.counting.review import DecisionState, ReviewDecision
from metaphase.counting.window import WindowShape
from metaphase.errors import DetectionsError
from metaphase.figures import Detections
from metaphase.provenance import Provenance


def slide(n=12, score=0.9, **more):
    made = {"width_px": 20_000, "height_px": 20_000, "mpp": 0.25, "threshold": 0.5} | more
    step = np.arange(n) * 100.0 + 9000
    return Detections(step, step, np.full(n, score), provenance=Provenance(image="a.svs", **made))


def test_a_count_tells_all_that_belongs_to_it():
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
    assert (best.seen.confirmed, best.seen.added, best.seen.unseen) == (8, 1, 0)


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


def test_without_a_resolution_nothing_is_counted():
    with pytest.raises(DetectionsError, match="um/px"):
        count_slide(slide(mpp=0.0))
