"""The charts of a report, each drawn from the Scores of one or more models."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from metaphase.evaluation.bootstrap import Interval
from metaphase.evaluation.scores import GroupScore, Scores
from metaphase.report.svg import Chart, Point, Scale, series

_POINTS = 400  # of a curve; more are not visible
_SHARE = Scale(0, 1)
_FROC_LOW = 0.1
_ROW_PX = 26


def precision_recall(models: Sequence[Scores], names: Sequence[str]) -> str:
    """Precision over recall, with lines of equal F1 and each model's operating point."""
    chart = Chart("Precision over recall", _SHARE, _SHARE, "recall", "precision")
    chart.x_axis()
    chart.y_axis()
    for f1 in (0.5, 0.6, 0.7, 0.8, 0.9):
        recalls = np.linspace(f1 / (2 - f1), 1, 40)
        points = [(float(r), float(f1 * r / (2 * r - f1))) for r in recalls]
        chart.line(points, "faint", f"F1 {f1:g}")
        px, py = chart.at(*points[-1])
        chart.text(px - 2, py - 3, f"F1 {f1:g}", "tick end")
    for number, (scores, name) in enumerate(zip(models, names, strict=True)):
        curve = scores.curve
        if curve.truths:
            places = zip(curve.recall.tolist(), curve.precision.tolist(), strict=True)
            chart.line(decimate(list(places)), series(number), name)
        if scores.recall is not None and scores.precision is not None:
            tip = f"{name}: precision {scores.precision:.3f}, recall {scores.recall:.3f}"
            chart.dot(scores.recall, scores.precision, series(number), tip, 5.5)
    return str(chart)


def froc(models: Sequence[Scores], names: Sequence[str]) -> str:
    """Sensitivity over false positives per mm2, on a logarithmic axis."""
    highest = max((float(s.curve.fp.max(initial=0)) / _area(s) for s in models), default=1.0)
    high = 10.0 ** max(1, math.ceil(math.log10(max(highest, 1.0))))
    name = "false positives per mm\N{SUPERSCRIPT TWO}"
    chart = Chart("FROC", Scale(_FROC_LOW, high, "log"), _SHARE, name, "sensitivity")
    chart.x_axis()
    chart.y_axis()
    for number, (scores, name) in enumerate(zip(models, names, strict=True)):
        if scores.curve.truths and scores.overall.area_mm2 > 0:
            rates = (scores.curve.fp / _area(scores)).tolist()
            places = list(zip(rates, scores.curve.recall.tolist(), strict=True))
            inside = [p for p in places if p[0] >= _FROC_LOW]
            before = [p for p in places if p[0] < _FROC_LOW][-1:]
            chart.line(decimate(before + inside), series(number), name)
        if scores.recall is not None:
            rate = scores.overall.counts.fp / _area(scores)
            tip = f"{name}: {scores.recall:.3f} at {rate:.2f} per mm2"
            chart.dot(rate, scores.recall, series(number), tip, 5.5)
    return str(chart)


def over_threshold(models: Sequence[Scores], names: Sequence[str]) -> str:
    """F1 over the threshold, with the operating threshold of each model."""
    chart = Chart("F1 over the threshold", _SHARE, _SHARE, "threshold", "F1")
    chart.x_axis()
    chart.y_axis()
    for number, (scores, name) in enumerate(zip(models, names, strict=True)):
        curve = scores.curve
        if curve.truths:
            places = list(zip(curve.threshold.tolist(), curve.f1.tolist(), strict=True))
            chart.line(decimate(places), series(number), name)
        if scores.threshold is not None and scores.f1 is not None:
            tip = f"{name}: F1 {scores.f1:.3f} at {scores.threshold:.4g}"
            chart.dot(scores.threshold, scores.f1, series(number), tip, 5.5)
    return str(chart)


def forest(models: Sequence[Scores], names: Sequence[str], by: str) -> str:
    """F1 of each domain with its interval, and of all cases."""
    domains = list(dict.fromkeys(d for s in models for d in s.domains.get(by, {})))
    rows = [*domains, "all cases"]
    height = 60 + _ROW_PX * len(rows) * max(1, (len(models) + 1) // 2)
    y = Scale(0, len(rows))
    title = f"F1 by {by}"
    chart = Chart(title, _SHARE, y, "F1", width=460, height=height, left=150)
    chart.x_axis()
    for row, domain in enumerate(rows):
        _, py = chart.at(0, len(rows) - row - 0.5)
        chart.text(chart.left - 8, py + 4, shorten(domain), "tick end")
        for number, (scores, name) in enumerate(zip(models, names, strict=True)):
            group = scores.overall if row == len(domains) else scores.domains[by].get(domain)
            place = len(rows) - row - (number + 1) / (len(models) + 1)
            _forest_row(chart, group, place, series(number), f"{name}, {domain}")
    return str(chart)


def _forest_row(chart: Chart, group: GroupScore | None, y: float, kind: str, name: str) -> None:
    if group is None or group.f1 is None:
        return
    interval = group.intervals.get("f1")
    limits = ""
    if interval is not None and interval.low is not None and interval.high is not None:
        limits = f" [{interval.low:.3f}, {interval.high:.3f}]"
        chart.line([(interval.low, y), (interval.high, y)], kind)
    tip = f"{name}: F1 {group.f1:.3f}{limits}, {group.labelled} labelled in {group.cases} cases"
    chart.dot(group.f1, y, kind, tip, 3 + min(4.0, math.log10(max(group.labelled, 1))))


def count_agreement(models: Sequence[Scores], names: Sequence[str]) -> str:
    """Predicted over labelled count of each case, on square-root axes."""
    counts = [(c.labelled, c.predicted) for scores in models for c in scores.cases]
    high = float(max((max(pair) for pair in counts), default=1)) * 1.05 + 1
    scale = Scale(0, high, "sqrt")
    chart = Chart("Counts", scale, scale, "labelled", "predicted")
    ticks = [float(v) for v in _COUNT_TICKS if v <= high]
    chart.x_axis(ticks)
    chart.y_axis(ticks)
    chart.line([(0, 0), (high, high)], "faint", "equal")
    for number, (scores, name) in enumerate(zip(models, names, strict=True)):
        for case in scores.cases:
            tip = f"{name}, case {case.id}: {case.predicted} predicted, {case.labelled} labelled"
            chart.dot(case.labelled, case.predicted, f"{series(number)} soft", tip, 3.5)
    return str(chart)


def count_differences(models: Sequence[Scores], names: Sequence[str]) -> str:
    """Predicted minus labelled over their mean, with bias and 95 % limits (Bland and Altman)."""
    counts = [(c.labelled, c.predicted) for scores in models for c in scores.cases]
    agreed = [scores.agreement for scores in models]
    highest = float(max((sum(pair) / 2 for pair in counts), default=1)) * 1.05 + 1
    ends = [float(predicted - labelled) for labelled, predicted in counts]
    ends += [limit for a in agreed for limit in (a.low, a.high) if limit is not None]
    reach = max(map(abs, ends), default=1.0) * 1.1 + 1
    x = Scale(0, highest, "sqrt")
    chart = Chart("Differences of counts", x, Scale(-reach, reach), "mean of the two", _DIFFERENCE)
    chart.x_axis([float(v) for v in _COUNT_TICKS if v <= highest])
    chart.y_axis()
    chart.line([(0, 0), (highest, 0)], "faint", "equal")
    for number, (scores, name) in enumerate(zip(models, names, strict=True)):
        a, kind = scores.agreement, series(number)
        for value, what, style in (
            (a.bias, "bias", kind),
            (a.low, "lower limit", f"{kind} limit"),
            (a.high, "upper limit", f"{kind} limit"),
        ):
            if value is not None:
                chart.line([(0, value), (highest, value)], style, f"{name}: {what} {value:+.2f}")
        for case in scores.cases:
            difference = case.predicted - case.labelled
            tip = f"{name}, case {case.id}: {case.predicted} predicted, {case.labelled} labelled"
            mean = (case.predicted + case.labelled) / 2
            chart.dot(mean, difference, f"{kind} soft", tip, 3.5)
    return str(chart)


_DIFFERENCE = "predicted \N{MINUS SIGN} labelled"
_COUNT_TICKS = (0, 1, 5, 10, 20, 50, 100, 200, 400, 800, 1600, 3200)


def reliability(models: Sequence[Scores], names: Sequence[str]) -> str:
    """The share of true positives among the detections, over their score."""
    chart = Chart("Calibration", _SHARE, _SHARE, "score", "share of true positives")
    chart.x_axis()
    chart.y_axis()
    chart.line([(0, 0), (1, 1)], "faint", "perfect")
    for number, (scores, name) in enumerate(zip(models, names, strict=True)):
        calibration = scores.calibration
        rows = zip(calibration.mean_score, calibration.right, calibration.count, strict=True)
        bins = [(m, r, n) for m, r, n in rows if m is not None and r is not None]
        chart.line([(m, r) for m, r, _ in bins], series(number), name)
        for m, r, n in bins:
            tip = f"{name}: {n} detections of mean score {m:.2f}, {r:.0%} true"
            chart.dot(m, r, series(number), tip, 2 + min(5.0, math.log10(n)))
    return str(chart)


def lines(title: str, x_name: str, y_name: str, curves: dict[str, list[Point]]) -> str:
    """Several lines over one axis, for the curves of a training run."""
    points = [p for curve in curves.values() for p in curve]
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    low, high = min(0.0, min(ys)), max(ys)
    chart = Chart(
        title,
        Scale(min(xs), max(max(xs), min(xs) + 1)),
        Scale(low, high * 1.05 if high > low else low + 1),
        x_name,
        y_name,
    )
    chart.x_axis()
    chart.y_axis()
    for number, (name, curve) in enumerate(curves.items()):
        chart.line(decimate(curve), series(number), name)
        for x, y in curve if len(curve) <= 60 else ():
            chart.dot(x, y, series(number), f"{name} {y:.4g} at {x:g}", 2.2)
    return str(chart)


def decimate(points: list[Point], most: int = _POINTS) -> list[Point]:
    """Return at most ``most`` of the points, with the first and the last."""
    if len(points) <= most:
        return points
    return [points[int(i)] for i in np.linspace(0, len(points) - 1, most).round()]


def shorten(text: str, most: int = 22) -> str:
    """Return a text cut to fit beside an axis."""
    return text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def interval_text(interval: Interval | None) -> str:
    """Return an interval as text for a table; empty if there is none."""
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f"{interval.low:.3f} to {interval.high:.3f}"


def _area(scores: Scores) -> float:
    return scores.overall.area_mm2 or 1.0
