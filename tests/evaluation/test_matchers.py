import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.evaluation.matchers import MATCHERS, Greedy, InFileOrder, Largest, NearPairs


def near(n, m, pairs):
    """Pairs of (truth, point, distance), sorted by point; all points in order."""
    pairs = sorted(pairs, key=lambda row: (row[1], row[0]))
    truth, point, distance = (np.array(column) for column in zip(*pairs, strict=True))
    order = sorted(set(point.tolist()))
    return NearPairs(n, m, truth, point, distance.astype(float), np.arange(m), order)


def matched(kind, pairs, n=2, m=2):
    given_pairs = near(n, m, pairs)
    matcher = kind(given_pairs)
    gained = [matcher.add(point) for point in given_pairs.order]
    return gained, matcher.point_of_truth


def test_greedy_gives_the_first_point_the_nearest_figure():
    pairs = [(0, 0, 2.0), (1, 0, 1.0), (1, 1, 0.5)]
    assert matched(Greedy, pairs) == ([1, 0], [-1, 0])


def test_file_order_hands_a_replaced_point_to_a_later_figure():
    pairs = [(0, 0, 2.0), (1, 0, 3.0), (0, 1, 1.0)]
    assert matched(InFileOrder, pairs) == ([1, 1], [1, 0])


def test_the_largest_set_is_found_along_augmenting_paths():
    pairs = [(0, 0, 1.0), (1, 0, 1.0), (0, 1, 1.0)]
    gained, points = matched(Largest, pairs)
    assert sum(gained) == 2
    assert sorted(points) == [0, 1]


@pytest.mark.parametrize("rule", list(MATCHERS))
@given(st.data())
def test_a_figure_that_is_matched_stays_matched(rule, data):
    n, m = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 6))
    cells = [(t, p) for t in range(n) for p in range(m)]
    chosen = data.draw(st.lists(st.sampled_from(cells), min_size=1, unique=True))
    rows = [(t, p, float(data.draw(st.integers(0, 4)))) for t, p in chosen]
    pairs = near(n, m, rows)
    matcher = MATCHERS[rule](pairs)
    before: set[int] = set()
    for point in pairs.order:
        gained = matcher.add(point)
        now = {t for t, p in enumerate(matcher.point_of_truth) if p >= 0}
        assert before <= now
        assert len(now) - len(before) == gained
        used = [p for p in matcher.point_of_truth if p >= 0]
        assert len(set(used)) == len(used)
        before = now
