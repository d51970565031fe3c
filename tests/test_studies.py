"""The geometry of what the studies lay before a model, and their lists and intervals."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from studies.backgrounds import disc_replaced, pasted
from studies.common import Crop, best_score, reflected, share_interval, wilson
from studies.crops_recall import side_by_side
from studies.design import UNSEEN, averaged
from studies.hold_out import held_out
from studies.second_scanner import FieldScore, row_of, same_tissue
from studies.shortcuts import free_of_figures

from metaphase.figures import Detections, Figure
from metaphase.labels.dataset import Case, Dataset
from metaphase.training.patches.picture import valid_part
from tests.evaluation.scenes import found


def crop(x, y, side=128):
    """Grey noise with one white pixel at x, y."""
    pixels = np.random.default_rng(0).integers(1, 200, (side, side, 3), dtype=np.uint8)
    pixels[y, x] = 255
    return pixels


@pytest.mark.parametrize(("x", "y"), [(64, 64), (40, 90)])
def test_the_figure_stays_where_it_is_said_to_be(x, y):
    pixels = crop(x, y)
    for whole, at_x, at_y in (
        reflected(pixels, x, y, 512),
        pasted(pixels, x, y, np.zeros((512, 512, 3), np.uint8)),
    ):
        assert whole.shape == (512, 512, 3)
        assert (at_x, at_y) == pytest.approx((256, 256), abs=1)
        assert (whole[round(at_y), round(at_x)] == 255).all()


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_side_by_side_every_figure_is_where_it_is_said_to_be(count):
    laid = [reflected(crop(40 + n, 90 - n), 40 + n, 90 - n, 256) for n in range(count)]
    image, points = side_by_side(laid)
    assert len(points) == len(set(points)) == count
    for (pixels, _, _), (x, y) in zip(laid, points, strict=True):
        assert (image[round(y), round(x)] == 255).all()
        top, left = int(y) // 256 * 256, int(x) // 256 * 256
        assert np.array_equal(image[top : top + 256, left : left + 256], pixels)
    assert (image.max(axis=2) > 0).all(), "no gap"


def test_what_is_free_of_figures_is_farther_than_a_match():
    figures = (Figure("1", 66.0, 60.0), Figure("2", 10.0, 20.0))
    case = Case(id="a", width_px=128, height_px=128, figures=figures)
    padded = Crop(case, np.zeros((118, 128, 3), np.uint8), 0.25, 66.0, 50.0)  # ten rows cut off
    free = free_of_figures(padded)
    rows, columns = np.mgrid[:118, :128] + 0.5
    near = [np.hypot(columns - x, rows - y) * 0.25 <= 7.5 for x, y in ((66, 50), (10, 10))]
    inside = np.zeros((118, 128), bool)
    inside[20:-20, 20:-20] = True  # 5 um
    assert np.array_equal(free, inside & ~near[0] & ~near[1])


def test_a_paste_is_soft_at_its_rim_and_whole_inside():
    whole, _, _ = pasted(np.full((60, 60, 3), 200, np.uint8), 30, 30, np.zeros((200, 200, 3), "u1"))
    assert whole[100, 100, 0] == 200
    assert whole[100, 71, 0] < 60
    assert whole[100, 60, 0] == 0


def test_a_disc_is_replaced_and_nothing_else():
    pixels = np.full((128, 128, 3), 100, np.uint8)
    changed = disc_replaced(pixels, 64, 64, np.full((56, 56, 3), 200, np.uint8), 20)
    assert changed[64, 64, 0] == 200
    away = np.hypot(*(np.mgrid[:128, :128] + 0.5 - 64))
    assert (changed[away > 25] == 100).all()
    assert (changed[away < 15] == 200).all()


def test_black_padding_is_cut_off():
    pixels = np.full((20, 30, 3), 9, np.uint8)
    pixels[:4], pixels[:, 25:] = 0, 0
    assert valid_part(pixels) == (0, 4, 25, 20)


def test_the_best_score_within_the_radius_counts():
    detections = found("a", [(100, 100), (129, 100), (131, 100)], [0.2, 0.6, 0.9])
    assert best_score(detections, 100, 100) == 0.6  # 7.5 um are 30 px
    assert best_score(detections, 300, 300) == 0.0


def test_intervals_of_a_share():
    assert wilson(8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)
    low, high = share_interval([1, 0, 1, 1], [1, 1, 1, 1], list("abcd"))
    assert low < 0.75 < high
    assert share_interval([1, 1], [1, 1], ["a", "b"]) == wilson(2, 2)


def test_a_share_of_each_scanners_slides_is_held_out():
    cases = [
        Case(f"{s}{g}-{i}", scanner=s, group=f"{s}{g}")
        for s in "XY"
        for g in range(20)
        for i in range(g % 7 + 1)
    ]
    dataset = Dataset(cases)
    chosen = held_out(dataset, 0.2, seed=1)
    assert {scanner: len(groups) for scanner, groups in chosen.items()} == {"X": 4, "Y": 4}
    assert chosen == held_out(dataset, 0.2, seed=1) != held_out(dataset, 0.2, seed=2)
    out = {group for groups in chosen.values() for group in groups}
    assert 0.12 < sum(case.group in out for case in cases) / len(cases) < 0.28


def test_fields_are_matched_with_those_of_the_second_scanner():
    fields = Dataset([Case("icpr2012/A00_01"), Case("icpr2012/A00_07")])
    second = Dataset([Case("H00_01"), Case("H00_02"), Case("H01_01")])
    assert same_tissue(fields, second).ids == ("H00_01",)


def test_a_row_pools_the_counts_of_its_fields():
    fields = [FieldScore(3, 1, 1, 0.5), FieldScore(1, 3, 1, 0.5)]
    cells, result = row_of("NanoZoomer", fields, seed=0)
    assert cells[:6] == ["NanoZoomer", "2", "0.571", "0.500", "0.667", "4"]
    assert result["fp_per_mm2"][0] == 4.0
    assert result["fp_per_mm2"][1] <= 4.0 <= result["fp_per_mm2"][2]
    empty, _ = row_of("none", [FieldScore(0, 0, 0, 1.0)], seed=0)
    assert empty[2:5] == ["0.000", "0.000", "0.000"]


def test_models_together_say_their_mean_of_each_place():
    from metaphase.provenance import Provenance

    def found(*rows):
        x, y, score = (np.array(column, float) for column in zip(*rows, strict=True))
        made = Provenance(image="a", width_px=999, height_px=999, mpp=0.25)
        return Detections(x, y, score, np.zeros(len(x), np.int8), provenance=made)

    one = found((100, 100, 0.9), (300, 300, 0.5))
    other = found((110, 100, 0.4), (500, 500, 0.6))
    both = averaged([one, other], 7.5)
    told = {(x, y): s for x, y, s in zip(both.x_px, both.y_px, both.score, strict=True)}
    # 30 px are 7.5 um: two are one place, which is where the surer one said.
    assert told == {
        (100, 100): pytest.approx(0.6),
        (300, 300): pytest.approx(np.sqrt(0.5 * UNSEEN), abs=1e-4),
        (500, 500): pytest.approx(np.sqrt(0.6 * UNSEEN), abs=1e-4),
    }
    assert averaged([one, one], 7.5) == one
    nothing = Detections.empty(one.provenance)
    assert averaged([nothing, nothing], 7.5) == nothing
