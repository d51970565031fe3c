"""Counts of slides as a table: counts.csv, counts.json, the terminal, and the density map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metaphase.counting.atypical import AtypicalCount
from metaphase.counting.batch import CountedSlide
from metaphase.counting.density import density_map
from metaphase.csvfile import csv_text
from metaphase.figures import Detections, Label
from metaphase.files import write_json, write_text

if TYPE_CHECKING:
    from rich.console import Console

CSV_NAME, JSON_NAME = "counts.csv", "counts.json"
COLUMNS = (
    "slide", "count", "low", "high", "per_mm2", "score", "could_be", "window_mm2", "tissue_mm2",
    "slide_count", "slide_mm2", "slide_per_mm2", "labelled", "domain_shift", "warnings", "notes",
    "atypical", "atypical_low", "atypical_high", "slide_atypical", "slide_atypical_low",
    "slide_atypical_high",
)  # fmt: skip

_LEAST_DENSITY = 5e-4  # per mm2, below which cells of the density map are not written


def row_of(slide: CountedSlide) -> dict[str, Any]:
    """Return the values of ``COLUMNS`` for one slide; unknown values are empty text."""
    result = slide.result
    best = result.hotspots[0]
    interval, score, shift = best.estimate, best.score, result.domain_shift
    return {
        "slide": slide.name,
        "count": best.count,
        "low": interval.low if interval else "",
        "high": interval.high if interval else "",
        "per_mm2": round(best.hotspot.per_mm2, 3),
        "score": score.score if score else "",
        "could_be": "/".join(map(str, score.could_be)) if score else "",
        "window_mm2": round(best.hotspot.area_mm2, 4),
        "tissue_mm2": round(best.hotspot.tissue_mm2, 4),
        "slide_count": result.total,
        "slide_mm2": round(result.area_mm2, 4),
        "slide_per_mm2": round(result.per_mm2, 3),
        "labelled": "" if slide.labelled is None else slide.labelled,
        "domain_shift": "" if shift is None else round(shift.ratio, 3),
        "warnings": " ".join(result.warnings),
        "notes": " ".join(result.notes),
        **_atypical("atypical", best.atypical),
        **_atypical("slide_atypical", result.total_atypical),
    }


def _atypical(name: str, count: AtypicalCount | None) -> dict[str, Any]:
    if count is None:
        return {name: "", f"{name}_low": "", f"{name}_high": ""}
    return {name: round(count.expected, 1), f"{name}_low": count.low, f"{name}_high": count.high}


def write_counts(slides: Sequence[CountedSlide], folder: Path) -> None:
    """Write ``counts.csv`` and ``counts.json``."""
    rows = [row_of(slide) for slide in slides]
    values = ([row[name] for name in COLUMNS] for row in rows)
    write_text(folder / CSV_NAME, csv_text(COLUMNS, values))
    write_json(folder / JSON_NAME, rows)


def density_csv(detections: Detections) -> str:
    """Return the cells of the density map that are not empty, as CSV."""
    provenance = detections.provenance
    points = detections.above_threshold().with_label(Label.MITOTIC).points
    grid = density_map(points, (provenance.width_px, provenance.height_px), provenance.mpp)
    rows = ["x_px,y_px,width_px,per_mm2"]
    for i, j in np.argwhere(grid.per_mm2 >= _LEAST_DENSITY):
        x, y = j * grid.cell_px, i * grid.cell_px
        rows.append(f"{x:.2f},{y:.2f},{grid.cell_px:.2f},{grid.per_mm2[i, j]:.3f}")
    return "\n".join(rows) + "\n"


def print_counts(slides: Sequence[CountedSlide], console: Console) -> None:
    """Print the counts, the sources of the intervals, and warnings and notes by slide."""
    from rich.table import Table

    if not slides:
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    names = ("slide", "count", "95 %", "per mm2", "score", "slide", "per mm2", "labelled")
    for i, name in enumerate(names):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=i != 0)
    for slide in slides:
        table.add_row(*_cells(slide))
    console.print(table)
    sources = [str(slide.result.validation) for slide in slides if slide.result.validation]
    for source in dict.fromkeys(sources):
        _print(console, f"Intervals: {source}.", "dim")
    for slide in slides:
        for warning in slide.result.warnings:
            _print(console, f"Warning: {slide.name}: {warning}", "yellow")
    for slide in slides:
        if slide.result.total_atypical is not None:
            best = slide.result.hotspots[0]
            whole = f"{slide.result.total} figures, {slide.result.total_atypical}"
            _print(console, f"{slide.name}: hotspot {best}; slide {whole}.", "none")
    for note in dict.fromkeys(
        f"{s.name}: {' '.join(s.result.notes)}" for s in slides if s.result.notes
    ):
        _print(console, note, "dim")


def _print(console: Console, text: str, style: str) -> None:
    """Print a line that may hold names with brackets, which are no markup."""
    console.print(text, style=style, soft_wrap=True, markup=False, highlight=False)


def _cells(slide: CountedSlide) -> tuple[str, ...]:
    from rich.markup import escape

    row = row_of(slide)
    interval = f"{row['low']} to {row['high']}" if row["low"] != "" else "-"
    score = str(row["score"] or ("withheld" if slide.result.score_withheld else "-"))
    if "/" in row["could_be"]:
        score += f" (could be {row['could_be']})"
    return (
        escape(slide.name),
        str(row["count"]),
        interval,
        f"{row['per_mm2']:.2f}",
        score,
        str(row["slide_count"]),
        f"{row['slide_per_mm2']:.2f}",
        str(row["labelled"]) or "-",
    )
