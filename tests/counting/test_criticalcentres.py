from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.counting.criticalcentres import centres_of_discs, stops_of

NOTHING = np.zeros((0, 4))
points = st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=8).map(
    lambda rows: np.array(rows, float)
)


@settings(max_examples=60, deadline=None)
@given(points, st.floats(0.5, 6))
def test_a_disc_at_a_critical_centre_holds_as_many_as_any_disc(ring, radius):
    box = np.array([-20.0, -20.0, 30.0, 30.0])
    tries = centres_of_discs(ring, radius, box, NOTHING)

    def most(centres, slack):
        away = centres[:, None, :] - ring[None, :, :]
        return int((np.hypot(away[..., 0], away[..., 1]) <= radius + slack).sum(axis=1).max())

    grid = np.stack(np.meshgrid(np.linspace(-6, 16, 60), np.linspace(-6, 16, 60)), -1).reshape(
        -1, 2
    )
    assert most(tries, 1e-7) >= most(grid, -1e-7)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=8), st.floats(0.5, 6))
def test_an_interval_at_a_stop_holds_as_many_as_any_interval(values, radius):
    ring = np.array(values)
    stops = stops_of(ring, radius, np.array([-20.0, 30.0]), np.zeros((0, 2)), True)

    def most(centres, slack):
        return int((np.abs(centres[:, None] - ring[None, :]) <= radius + slack).sum(axis=1).max())

    assert most(stops, 1e-9) >= most(np.linspace(-10, 20, 400), -1e-9)


def test_stops_lie_within_the_limits_and_next_to_placed_windows():
    taken = np.array([[5.0, 2.0]])
    certain = stops_of(np.array([1.0]), 3.0, np.array([0.0, 10.0]), taken, True)
    assert certain.tolist() == [0.0, 3.0, 4.0, 10.0]
    both = stops_of(np.array([1.0]), 3.0, np.array([0.0, 10.0]), taken, False)
    assert both.tolist() == [0.0, 3.0, 4.0, 7.0, 10.0]


def test_two_circles_cross_in_two_points():
    ring = np.array([[0.0, 0.0], [6.0, 0.0]])
    centres = centres_of_discs(ring, 5.0, np.array([-50.0, -50.0, 50.0, 50.0]), NOTHING)
    distance = np.hypot(*(centres[:, None, :] - ring[None]).transpose(2, 0, 1))
    on_both = centres[(np.abs(distance - 5) < 1e-9).all(axis=1)]
    np.testing.assert_allclose(sorted(on_both.tolist()), [[3.0, -4.0], [3.0, 4.0]])
