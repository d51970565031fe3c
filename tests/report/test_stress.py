import re
from types import SimpleNamespace

import pytest

from metaphase.report.stress import write_stress_report
from metaphase.stress.perturbations import SWEEPS
from metaphase.stress.stress import Point
from tests.report.html import page_of

BY_NAME = {sweep.name: sweep for sweep in SWEEPS}
MODEL = SimpleNamespace(
    id="f" * 64, card=SimpleNamespace(name="tiny", threshold=SimpleNamespace(value=0.4))
)


def points(sweep, levels, f1):
    return [
        Point(sweep, level, "", abs(level), None, value, value, value, 10 + i, 12)
        for i, (level, value) in enumerate(zip(levels, f1, strict=True))
    ]


def test_every_sweep_has_its_charts_and_its_numbers(tmp_path):
    hue = points("hue", (-20.0, 0.0, 20.0), (0.5, 0.8, None))
    blur = points("blur", (0.0, 1.0), (0.8, 0.4))
    path = write_stress_report(
        [*hue, *blur],
        tmp_path,
        sweeps=[BY_NAME["hue"], BY_NAME["blur"]],
        shifts={"hue": 10.0},
        model=MODEL,
        dataset="<fields>",
    )
    page = page_of(path)
    text = path.read_text()
    assert text.count('<svg class="chart"') == 4
    assert text.count('class="band"') == 2, "the range of real scanners, in both charts of hue"
    assert "tiny on &lt;fields&gt;" in text
    assert "0.800" in page.words
    assert all(address.startswith("data:") for address in page.loads)


def test_the_best_jpeg_quality_is_on_the_left(tmp_path):
    jpeg = points("jpeg", (100.0, 50.0, 10.0), (0.8, 0.7, 0.3))
    sweep = next(sweep for sweep in SWEEPS if sweep.neutral == 100.0)
    rows = [Point(sweep.name, p.level, "", p.shift, None, p.f1, None, None, 1, 1) for p in jpeg]
    path = write_stress_report(rows, tmp_path, sweeps=[sweep], shifts={}, model=MODEL, dataset="d")
    chart = re.search(r"<svg class=\"chart\".*?</svg>", path.read_text(), re.S).group()
    places = dict(re.findall(r'cx="([\d.]+)"[^>]*><title>F1 [\d.]+ at (\d+)', chart))
    x = {level: float(place) for place, level in places.items()}
    assert x["100"] < x["50"] < x["10"]


def test_undefined_scores_leave_a_gap_and_a_dash(tmp_path):
    path = write_stress_report(
        points("hue", (0.0, 5.0), (None, None)),
        tmp_path,
        sweeps=[BY_NAME["hue"]],
        shifts={},
        model=MODEL,
        dataset="",
    )
    assert "the data set" in path.read_text()
    assert page_of(path).words.count("-") == pytest.approx(8)
