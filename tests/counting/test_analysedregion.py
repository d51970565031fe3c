"""Only the analysed part is counted: rectangles, regions of interest, tissue."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.counting.analysedregion import (
    AnalysedRegion,
    analysed_box_px,
    analysed_mm2,
    analysed_region,
    lacks_tissue,
    load_analysed_region,
)
from metaphase.counting.count import count_slide
from metaphase.counting.hotspot import find_hotspots
from metaphase.counting.window import WindowShape, tissue_fraction
from metaphase.errors import InputError
from metaphase.figures import Detections
from metaphase.provenance import Provenance
from metaphase.slides.array import ArraySlide
from metaphase.slides.mask import ROI_MPP, TissueMask
from metaphase.slides.mpp import MppHints
from metaphase.slides.tissue import TISSUE_MPP

MPP = 0.25
SIDE = 20_000


def made(**parameters):
    return Provenance("a.svs", SIDE, SIDE, MPP, threshold=0.5, parameters=parameters)


def found(points, **parameters):
    x, y = np.asarray(points, float).reshape(-1, 2).T
    return Detections(x, y, np.full(len(x), 0.9), provenance=made(**parameters))


def box_mask(x1, y1, x2, y2, mpp=ROI_MPP):
    n = round(SIDE * MPP / mpp)
    at = (np.arange(n) + 0.5) * mpp / MPP
    inside = ((at >= y1) & (at < y2))[:, None] & ((at >= x1) & (at < x2))[None, :]
    return TissueMask(inside, mpp, MPP, SIDE, SIDE)


@settings(max_examples=25, deadline=None)
@given(
    x=st.floats(-500, 12_000), y=st.floats(-500, 12_000),
    width=st.floats(6000, 12_000), height=st.floats(6000, 12_000),
    shape=st.sampled_from(["square", "circle", "4:3"]), seed=st.integers(0, 99),
)  # fmt: skip
def test_a_window_lies_in_the_analysed_rectangle(x, y, width, height, shape, seed):
    region = [x, y, width, height]
    x1, y1, x2, y2 = analysed_box_px(made(region=region))
    points = np.random.default_rng(seed).uniform([x1, y1], [x2, y2], (40, 2))
    result = count_slide(found(points, region=region), WindowShape.parse(shape, 1.0))
    left, top, right, bottom = result.hotspots[0].hotspot.window.box
    narrow_x, narrow_y = right - left > x2 - x1, bottom - top > y2 - y1
    assert narrow_x or (left >= x1 - 1e-3 and right <= x2 + 1e-3)
    assert narrow_y or (top >= y1 - 1e-3 and bottom <= y2 + 1e-3)
    assert result.area_mm2 == pytest.approx((x2 - x1) * (y2 - y1) * MPP**2 * 1e-6)
    assert result.area_is == "region"


def test_a_region_narrower_than_the_window_counts_its_own_area():
    result = count_slide(found([[5100, 5100]], region=[5000, 5000, 400, 4000]))
    (best,) = result.hotspots
    assert best.hotspot.area_mm2 == pytest.approx(0.1)
    assert best.hotspot.window.x_px == pytest.approx(5200)
    assert any("analysed region holds" in note for note in result.notes)


def test_without_figures_the_window_is_in_the_region_too():
    result = count_slide(found([], region=[0, 0, 8000, 8000]))
    assert result.hotspots[0].hotspot.window.box[2] < 8000


def test_a_window_lies_in_the_region_of_interest_if_one_fits():
    roi = box_mask(4000, 4000, 12_000, 12_000)
    # Most lie along the border, so a window halfway out would hold them as well.
    x = np.linspace(4050, 11_900, 30)
    points = np.stack([x, np.full(30, 4100.0)], axis=1)
    result = count_slide(found(points, roi_sha256="x"), analysed=AnalysedRegion(roi=roi))
    window = result.hotspots[0].hotspot.window
    assert tissue_fraction(roi, window, [[window.x_px, window.y_px]])[0] >= 0.98
    assert result.area_mm2 == pytest.approx(4.0, rel=0.01)
    assert not any("is missing" in note for note in result.notes)
    alone = count_slide(found(points, roi_sha256="x"))
    assert any("is missing" in note for note in alone.notes)


def test_a_region_of_interest_too_small_for_a_window_still_gives_a_count():
    roi = box_mask(4000, 4000, 8200, 8200)  # 1.1 mm2
    result = count_slide(found([[5000, 5000], [6000, 6000]]), analysed=AnalysedRegion(roi=roi))
    (best,) = result.hotspots
    assert best.count == 2
    assert best.hotspot.tissue_mm2 == pytest.approx(1.1, rel=0.02)
    assert not best.hotspot.mostly_glass
    assert any("reaches outside" in note for note in result.notes)


def test_tissue_and_region_of_interest_hold_both():
    roi, tissue = box_mask(0, 0, 10_000, SIDE), box_mask(0, 0, SIDE, 10_000, TISSUE_MPP)
    both = AnalysedRegion(tissue, roi)
    assert both.both.area_mm2 == pytest.approx(6.25, rel=0.01)
    box = analysed_box_px(made(region=[0, 0, 4000, 20_000]))
    assert analysed_mm2(both, box, MPP) == pytest.approx(2.5, rel=0.01)
    # Two places of equal count: only one of them is tissue within the region of interest.
    points = [[3000, 3000], [3100, 3000], [15_000, 3000], [15_100, 3000], [15_200, 3000]]
    result = count_slide(found(points), WindowShape(area_mm2=0.5), analysed=both)
    assert result.hotspots[0].hotspot.window.x_px < 10_000
    assert result.area_is == "tissue"


def test_masks_in_the_folder_of_the_detections_are_read(tmp_path):
    rng = np.random.default_rng(3)
    mask = np.kron(rng.random((25, 25)) > 0.5, np.ones((25, 25))).astype(bool)
    tissue = TissueMask(mask, TISSUE_MPP, MPP, SIDE, SIDE)
    roi = box_mask(1000, 1000, 9000, 7000)
    assert load_analysed_region(tmp_path, made()).both is None
    (tmp_path / "tissue.geojson").write_text(json.dumps(tissue.to_geojson()))
    (tmp_path / "roi.geojson").write_text(json.dumps(roi.to_geojson()))
    analysed = load_analysed_region(tmp_path, made())
    np.testing.assert_array_equal(analysed.tissue.mask, tissue.mask)  # as it was found
    np.testing.assert_array_equal(analysed.roi.mask, roi.mask)


def small_slide():
    """The left half is tissue: 200 x 200 px of 8 um."""
    pixels = np.full((200, 200, 3), 250, np.uint8)
    pixels[:, :100] = (200, 120, 180)
    return ArraySlide(pixels, Path("a.png"), MppHints(user=8.0))


def test_missing_tissue_is_searched_for_unless_the_whole_image_was_analysed():
    opened = []

    def pixels():
        opened.append(1)
        return nullcontext(small_slide())

    sized = {"width_px": 200, "height_px": 200, "mpp": 8.0}
    for parameters, share in (({}, 0.5), ({"tissue": True}, 0.5), ({"tissue": False}, 1.0)):
        provenance = replace(made(**parameters), **sized)
        region = analysed_region(provenance, None, pixels)
        area = analysed_mm2(region, analysed_box_px(provenance), 8.0)
        assert area == pytest.approx(2.56 * share, rel=0.1)
        assert lacks_tissue(region, provenance) is False
    assert len(opened) == 2


def test_without_pixels_unknown_tissue_is_noted():
    assert lacks_tissue(analysed_region(made()), made())
    result = count_slide(found([[500, 500]]))
    assert any("per mm2 of image" in note for note in result.notes)
    whole = count_slide(found([[500, 500]], tissue=False))
    assert not any("per mm2 of image" in note for note in whole.notes)


def test_no_tissue_at_all_is_an_answer(tmp_path):
    text = json.dumps({"type": "FeatureCollection", "features": []})
    (tmp_path / "tissue.geojson").write_text(text)
    analysed = load_analysed_region(tmp_path, made())
    assert analysed.tissue.area_mm2 == 0
    result = count_slide(found([[500, 500]]), analysed=analysed)
    assert (result.area_mm2, result.per_mm2) == (0, 0)
    assert result.hotspots[0].hotspot.mostly_glass


def test_a_damaged_mask_is_an_error(tmp_path):
    (tmp_path / "roi.geojson").write_text("{")
    with pytest.raises(InputError, match=r"roi\.geojson"):
        load_analysed_region(tmp_path, made())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_both_conditions_hold_where_they_can(seed):
    rng = np.random.default_rng(seed)
    tissue = box_mask(0, 0, *rng.uniform(8000, 15_000, 2), TISSUE_MPP)
    roi = box_mask(*rng.uniform(0, 4000, 2), SIDE, SIDE)
    points = rng.uniform(0, SIDE, (30, 2))
    hot = find_hotspots(
        points, WindowShape(area_mm2=0.5), MPP, within_px=(0, 0, SIDE, SIDE), tissue=tissue, roi=roi
    )
    for hotspot in hot:
        at = [[hotspot.window.x_px, hotspot.window.y_px]]
        assert tissue_fraction(tissue, hotspot.window, at)[0] >= 0.5 - 1e-9
        assert tissue_fraction(roi, hotspot.window, at)[0] >= 0.98 - 1e-9
