"""Hotspots against brute force, with borders, neighbours and tissue."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.counting.hotspot import find_hotspots
from metaphase.counting.window import TOLERANCE_PX, Window, WindowShape, tissue_fraction
from metaphase.errors import InputError

MPP = 1.0


SHAPES = ["circle", "square", "4:3", "1:2"]


def shape_of(name: str, width_px: float, either_way: bool = False) -> WindowShape:
    """A shape that is ``width_px`` wide (a circle of that diameter) at 1 um/px."""
    if name == "circle":
        return WindowShape("circle", math.pi / 4 * width_px**2 * 1e-6)
    aspect = WindowShape.parse(name).aspect
    return WindowShape("rectangle", width_px**2 / aspect * 1e-6, aspect, either_way)


def fullest(points: np.ndarray, window: Window, centres: np.ndarray, slack: float) -> int:
    """The most points that a window of this size holds in any of the centres."""
    best = 0
    half = np.array([window.width_px, window.height_px]) / 2
    for centre in centres:
        away = points - centre
        if window.kind == "circle":
            inside = np.hypot(away[:, 0], away[:, 1]) <= half[0] + slack
        else:
            inside = (np.abs(away) <= half + slack).all(axis=1)
        best = max(best, int(inside.sum()))
    return best


def every_centre(points: np.ndarray, window: Window) -> np.ndarray:
    """All critical centres, the slow and plain way."""
    w, h = window.width_px / 2, window.height_px / 2
    if window.kind == "rectangle":
        xs, ys = points[:, 0] + w, points[:, 1] + h
        return np.array(list(itertools.product(xs, ys)))
    found = list(points)
    for a, b in itertools.combinations(points, 2):
        d = math.dist(a, b)
        if 0 < d <= 2 * w:
            foot, across = (a + b) / 2, math.sqrt(max(0.0, w * w - d * d / 4))
            normal = np.array([-(b - a)[1], (b - a)[0]]) / d
            found += [foot + normal * across, foot - normal * across]
    return np.array(found)


coordinates = st.one_of(
    st.integers(0, 40).map(float), st.floats(0, 40, allow_nan=False).map(lambda v: round(v, 2))
)


point_sets = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=25).map(np.array)


@settings(max_examples=50, deadline=None)
@given(points=point_sets, name=st.sampled_from(SHAPES), width=st.floats(0.5, 60))
def test_no_window_anywhere_holds_more(points, name, width):
    (hotspot,) = find_hotspots(points, shape_of(name, width), MPP)
    centres = every_centre(points, hotspot.window)
    assert hotspot.count == hotspot.window.contains(points).sum()
    assert hotspot.count >= fullest(points, hotspot.window, centres, -TOLERANCE_PX / 8)
    assert hotspot.count <= fullest(points, hotspot.window, centres, 2 * TOLERANCE_PX)


@settings(max_examples=40, deadline=None)
@given(points=point_sets, width=st.floats(1, 60))
def test_the_better_orientation_is_taken(points, width):
    ways = [
        find_hotspots(points, shape_of(n, w), MPP)[0].count
        for n, w in (("1:2", width), ("2:1", width * 2))
    ]
    (hotspot,) = find_hotspots(points, shape_of("1:2", width, either_way=True), MPP)
    assert hotspot.count == max(ways)


@settings(max_examples=50, deadline=None)
@given(points=point_sets, name=st.sampled_from(["square", "4:3"]), width=st.floats(1, 30))
def test_a_rectangle_inside_the_image_loses_nothing(points, name, width):
    free = find_hotspots(points, shape_of(name, width), MPP)[0]
    kept = find_hotspots(points, shape_of(name, width), MPP, within_px=(0, 0, 40, 40))[0]
    x1, y1, x2, y2 = kept.window.box
    assert kept.count == free.count
    assert min(x1, y1) >= -1e-9
    assert max(x2, y2) <= 40 + 1e-9


@settings(max_examples=50, deadline=None)
@given(points=point_sets, width=st.floats(1, 39))
def test_a_circle_inside_the_image_is_the_best_that_fits(points, width):
    (hotspot, *_) = find_hotspots(
        points, shape_of("circle", width), MPP, within_px=(0, 0, 40, 40)
    ) or [None]
    r = width / 2
    window = Window("circle", 0, 0, width, width)
    centres = list(every_centre(points, window))
    for p in points:  # circles around points cut the border of the centres that are allowed
        for side in (r, 40 - r):
            for axis in (0, 1):
                square = r * r - (p[axis] - side) ** 2
                for sign in (-1, 1):
                    if square >= -1e-6:  # touching counts, whatever rounding says
                        other = p[1 - axis] + sign * math.sqrt(max(0.0, square))
                        centres.append([side, other] if axis == 0 else [other, side])
    centres += list(itertools.product((r, 40 - r), repeat=2))
    inside = [c for c in centres if all(r - 1e-9 <= v <= 40 - r + 1e-9 for v in c)]
    low, high = (
        fullest(points, window, np.array(inside), slack) for slack in (-1e-7, 2 * TOLERANCE_PX)
    )
    count = hotspot.count if hotspot else 0
    assert low <= count <= high
    if hotspot:
        assert all(
            r - 1e-6 <= v <= 40 - r + 1e-6 for v in (hotspot.window.x_px, hotspot.window.y_px)
        )


@settings(max_examples=40, deadline=None)
@given(points=point_sets, name=st.sampled_from(SHAPES), width=st.floats(1, 20))
def test_further_hotspots_do_not_overlap_and_fall(points, name, width):
    hotspots = find_hotspots(points, shape_of(name, width), MPP, top=4)
    counts = [h.count for h in hotspots]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] >= 1
    for a, b in itertools.combinations(hotspots, 2):
        assert not a.window.overlaps(b.window)


@settings(max_examples=40, deadline=None)
@given(
    points=st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), min_size=2, max_size=14).map(
        lambda p: np.array(p, dtype=float)
    ),
    name=st.sampled_from(["circle", "square"]),
)
def test_the_second_is_at_least_what_a_grid_of_free_windows_finds(points, name):
    width = 6.0
    first, *rest = find_hotspots(points, shape_of(name, width), MPP, top=2)
    second = rest[0].count if rest else 0
    for x, y in itertools.product(np.arange(-4, 29, 1.0), repeat=2):
        window = Window(first.window.kind, x, y, width, width)
        if not window.overlaps(first.window):
            left = points[~first.window.contains(points)]
            assert window.contains(left).sum() <= second


def part(tissue: HalfGlass, window: Window) -> float:
    return float(tissue_fraction(tissue, window, [[window.x_px, window.y_px]])[0])


class HalfGlass:
    """Tissue to the right of a line."""

    def __init__(self, border: float, area_mm2: float = 1.0) -> None:
        self.border, self.area_mm2 = border, area_mm2

    def fraction(self, x_px, y_px, width_px, height_px):
        right = np.asarray(x_px) + width_px
        return np.clip(right - np.maximum(x_px, self.border), 0, None) / width_px


@settings(max_examples=40, deadline=None)
@given(points=point_sets, name=st.sampled_from(["circle", "square"]), border=st.floats(0, 40))
def test_windows_hold_enough_tissue(points, name, border):
    tissue = HalfGlass(border)
    hotspots = find_hotspots(points, shape_of(name, 8), MPP, tissue=tissue, least_tissue=0.6)
    free = find_hotspots(points, shape_of(name, 8), MPP)[0]
    for hotspot in hotspots:
        assert hotspot.count <= free.count
        assert hotspot.mostly_glass or part(tissue, hotspot.window) >= 0.6 - 1e-9
    deep = points[points[:, 0] >= border + 8]  # these can be covered without touching the glass
    if len(deep):
        best = find_hotspots(deep, shape_of(name, 8), MPP)[0].count
        assert hotspots[0].count >= best
        assert not hotspots[0].mostly_glass


def test_tissue_gives_the_area_and_the_density():
    points = np.array([[10.0, 10.0], [11.0, 10.0]])
    (hotspot,) = find_hotspots(
        points, shape_of("square", 8), MPP, tissue=HalfGlass(8.0), least_tissue=0.75
    )
    assert hotspot.area_mm2 == pytest.approx(64e-6)
    assert 0.75 * 64e-6 <= hotspot.tissue_mm2 <= 64e-6
    assert hotspot.per_mm2 == pytest.approx(2 / hotspot.tissue_mm2)


def test_tissue_in_fragments_is_counted_with_a_note():
    (hotspot,) = find_hotspots([[5.0, 5.0]], shape_of("square", 8), MPP, tissue=HalfGlass(1e6))
    assert hotspot.mostly_glass
    assert hotspot.count == 1


def test_no_figures_no_hotspot():
    assert find_hotspots(np.empty((0, 2)), WindowShape(), 0.25) == []


def test_figures_in_one_place_and_on_the_edge_are_counted():
    pile = np.repeat([[3.0, 3.0]], 300, axis=0)
    points = np.concatenate([pile, [[13.0, 3.0]], [[13.5, 3.0]]])
    for name in ("square", "circle"):
        assert find_hotspots(points, shape_of(name, 10), MPP)[0].count == 301


def test_an_image_narrower_than_the_window_counts_its_own_area():
    (hotspot,) = find_hotspots([[2.0, 2.0]], shape_of("square", 10), MPP, within_px=(0, 0, 4, 100))
    assert hotspot.window.x_px == pytest.approx(2)
    assert hotspot.area_mm2 == pytest.approx(40e-6)


def test_the_window_is_centred_on_its_figures():
    for name in ("square", "circle"):
        (hotspot,) = find_hotspots([[10.0, 10.0], [14.0, 10.0]], shape_of(name, 20), MPP)
        assert (hotspot.window.x_px, hotspot.window.y_px) == pytest.approx((12, 10), abs=0.2)


@pytest.mark.parametrize("name", ["square", "circle"])
def test_points_in_lines_and_lattices_end(name):
    line = np.stack([np.zeros(2000), np.linspace(0, 1000, 2000)], axis=1)[::2]
    grid = np.stack(np.meshgrid(np.arange(30.0), np.arange(30.0)), axis=-1).reshape(-1, 2)
    assert find_hotspots(line, shape_of(name, 100), MPP)[0].count >= 100
    if name == "square":
        assert find_hotspots(grid, shape_of(name, 10), MPP)[0].count == 121


@pytest.mark.parametrize("name", ["circle", "square", "4:3"])
def test_a_hundred_thousand_points_agree_with_a_sweep_on_one_axis(name):
    # A sample of windows, each fixed by two figures, never holds more than the answer.
    rng = np.random.default_rng(7)
    points = np.round(rng.uniform(0, 100_000, (100_000, 2)), 2)
    shape = WindowShape.parse(name, 2.0)
    (hotspot,) = find_hotspots(points, shape, 0.25, within_px=(0, 0, 100_000, 100_000))
    near = rng.integers(0, len(points), 300)
    for i in near:
        x, y = points[i]
        x = min(max(x, hotspot.window.width_px / 2), 100_000 - hotspot.window.width_px / 2)
        other = Window(hotspot.window.kind, x, y, hotspot.window.width_px, hotspot.window.height_px)
        assert other.contains(points).sum() <= hotspot.count


def test_resolution_must_be_known():
    with pytest.raises(InputError, match="--mpp"):
        find_hotspots([[1.0, 1.0]], WindowShape(), 0.0)
