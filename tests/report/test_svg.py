import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.report.svg import Chart, Scale, label, round_step


@given(st.floats(0.1, 1e5), st.floats(0.1, 1e5), st.sampled_from(["linear", "log", "sqrt"]))
def test_scales_rise_from_0_to_1(a, b, kind):
    low, high = sorted((a, b))
    scale = Scale(low, high, kind)
    if high > low:
        assert scale(low) == 0
        assert scale(high) == 1
        assert 0 <= scale((low + high) / 2) <= 1
    assert scale(low / 2) == 0


def test_kinds_of_scale():
    assert Scale(0, 100)(25) == 0.25
    assert Scale(0, 100, "sqrt")(25) == 0.5
    assert Scale(0.1, 1000, "log")(10) == 0.5


def test_a_reversed_scale_falls():
    scale = Scale(10, 100, reverse=True)
    assert [scale(100), scale(55), scale(10)] == [0, 0.5, 1]


def test_a_band_covers_its_range_in_either_direction():
    for ends in ((2, 4), (4, 2)):
        chart = Chart("t", Scale(0, 10), Scale(0, 1))
        chart.band(*ends, "range")
        band = ElementTree.fromstring(str(chart)).find("rect")
        wide = chart.width - chart.left - chart.right
        assert float(band.get("x")) == pytest.approx(chart.left + 0.2 * wide, abs=0.1)
        assert float(band.get("width")) == pytest.approx(0.2 * wide, abs=0.2)


def test_ticks_are_round_and_inside():
    assert Scale(0, 1).ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert Scale(0.05, 200, "log").ticks() == pytest.approx([0.1, 1, 10, 100])
    assert Scale(3, 17).ticks() == [5, 10, 15]
    assert [round_step(v) for v in (0.03, 1, 1.1, 4, 7)] == [0.05, 1, 2, 5, 10]
    assert label(-0.5) == "\N{MINUS SIGN}0.5"


def test_a_chart_is_xml_with_what_was_drawn_inside_its_axes():
    chart = Chart('a < "b"', Scale(0, 10), Scale(0, 1), "x & y", "<y>")
    chart.x_axis()
    chart.y_axis()
    chart.line([(0, 0), (10, 1)], "s0", "tip <1>")
    chart.line([(0, 0)], "s0")
    chart.dot(5, 0.5, "s1", "tip")
    chart.bar(2, 4, 0.5, "s2")
    root = ElementTree.fromstring(str(chart))
    assert root.get("aria-label") == 'a < "b"'
    dot = root.find("circle")
    left, right = chart.left, chart.width - chart.right
    assert float(dot.get("cx")) == pytest.approx((left + right) / 2, abs=0.1)
    lines = [p for p in root.findall("path") if "line" in p.get("class")]
    assert len(lines) == 1
    base = chart.height - chart.bottom
    assert lines[0].get("d") == f"M{left:g} {base:g}L{right:g} {chart.top:g}"
    bar = root.find("rect")
    assert float(bar.get("y")) + float(bar.get("height")) == base
