from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.counting.nottingham import TABLE, cuts_for, diameter_of, mitotic_score
from metaphase.counting.window import fields_area_mm2
from metaphase.errors import InputError

ELSTON_ELLIS_FIELD_MM2 = 0.274  # 0.59 mm: up to 9, 10 to 19, 20 and more


@pytest.mark.parametrize("hundredths", TABLE)
def test_every_entry_follows_from_the_original_field(hundredths):
    area = math.pi * (hundredths / 200) ** 2
    assert TABLE[hundredths] == tuple(
        math.floor(first * area / ELSTON_ELLIS_FIELD_MM2) for first in (10, 20)
    )


def test_the_table_covers_forty_to_sixty_nine():
    assert list(TABLE) == list(range(40, 70))
    assert (TABLE[50], TABLE[59]) == ((7, 14), (9, 19))


@pytest.mark.parametrize(("count", "score"), [(0, 1), (7, 1), (8, 2), (14, 2), (15, 3), (99, 3)])
def test_scores_at_the_cuts(count, score):
    assert mitotic_score(count, 0.50).score == score


@given(st.integers(0, 60), st.integers(0, 10), st.integers(0, 10), st.sampled_from(sorted(TABLE)))
def test_a_score_tips_if_and_only_if_the_interval_crosses_a_cut(count, below, above, hundredths):
    interval = (max(0, count - below), count + above)
    score = mitotic_score(count, hundredths / 100, interval)
    crossed = any(interval[0] <= cut < interval[1] for cut in score.cuts)
    assert score.could_tip == crossed
    assert score.score in score.could_be


@pytest.mark.parametrize("diameter", [0.39, 0.70, 5.0, -0.5, math.nan, math.inf])
def test_other_diameters_are_refused(diameter):
    with pytest.raises(InputError, match="no field diameter"):
        cuts_for(diameter)


@given(st.floats(0.4, 0.69))
def test_area_and_diameter_of_ten_fields(diameter):
    assert diameter_of(fields_area_mm2(diameter)) == pytest.approx(diameter)
    assert round(diameter_of(2.0), 3) == 0.505
