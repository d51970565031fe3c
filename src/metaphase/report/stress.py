"""The report of a stress test: F1 and detected figures against every change, as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from metaphase import __version__
from metaphase.files import write_text
from metaphase.models.modelfile import Model
from metaphase.report.svg import Chart, Scale, series
from metaphase.report.template import markup, render
from metaphase.stress.perturbations import Sweep
from metaphase.stress.stress import Point

HTML_NAME = "stress.html"


def write_stress_report(
    points: Sequence[Point],
    folder: str | Path,
    *,
    sweeps: Sequence[Sweep],
    shifts: Mapping[str, float],
    model: Model,
    dataset: str,
) -> Path:
    """Write ``stress.html`` into a folder and return its path.

    ``shifts`` are the differences between real scanners by sweep, drawn as bands (see
    ``stress.REAL_SHIFTS``). ``dataset`` is the name of the data set.
    """
    rows = []
    for sweep in sweeps:
        own = [point for point in points if point.sweep == sweep.name]
        if own:
            band = sweep.ends(shifts[sweep.name]) if sweep.name in shifts else None
            charts = [_f1_chart(own, sweep, band), _count_chart(own, sweep, band)]
            rows.append((sweep.name, [markup(str(chart)) for chart in charts]))
    page = render(
        "stress.html",
        title=f"Stress test: {model.card.name} on {dataset or 'the data set'}",
        version=__version__,
        threshold=model.card.threshold.value,
        model_id=model.id,
        sweeps=rows,
        points=points,
    )
    path = Path(folder) / HTML_NAME
    write_text(path, page)
    return path


def _f1_chart(points: Sequence[Point], sweep: Sweep, band: tuple[float, float] | None) -> Chart:
    chart = _axes(f"F1, {sweep.name}", points, sweep, Scale(0, 1), "F1", band)
    line = [(p.level, p.f1) for p in points if p.f1 is not None]
    chart.line(line, series(0))
    for level, f1 in line:
        chart.dot(level, f1, series(0), f"F1 {f1:.3f} at {level:g} {sweep.unit}".rstrip(), 3)
    return chart


def _count_chart(points: Sequence[Point], sweep: Sweep, band: tuple[float, float] | None) -> Chart:
    labelled = points[0].labelled
    top = 1.1 * max(*(point.count for point in points), labelled, 1)
    title = f"Detected figures, {sweep.name}"
    chart = _axes(title, points, sweep, Scale(0, top), "detected figures", band)
    levels = [point.level for point in points]
    ends = [(min(levels), float(labelled)), (max(levels), float(labelled))]
    chart.line(ends, "faint", f"{labelled} labelled")
    chart.line([(p.level, float(p.count)) for p in points], series(1))
    for p in points:
        chart.dot(p.level, p.count, series(1), f"{p.count} at {p.level:g} {sweep.unit}".rstrip(), 3)
    return chart


def _axes(
    title: str,
    points: Sequence[Point],
    sweep: Sweep,
    y: Scale,
    y_name: str,
    band: tuple[float, float] | None,
) -> Chart:
    """Return a chart with axes and the band; of JPEG quality the best is on the left."""
    levels = [point.level for point in points]
    low, high = min(levels), max(levels)
    x = Scale(low, high if high > low else low + 1, reverse=sweep.neutral == 100.0)
    chart = Chart(title, x, y, sweep.unit or sweep.name, y_name, width=400, height=260)
    if band is not None:
        chart.band(*band, "differences between real scanners")
    chart.x_axis()
    chart.y_axis()
    return chart
