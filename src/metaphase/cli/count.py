"""``metaphase count``: the mitotic count at the hotspot."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, option

if TYPE_CHECKING:
    from metaphase.counting.analysedregion import AnalysedRegion
    from metaphase.counting.count import MitoticCount
    from metaphase.counting.interval import Validation
    from metaphase.counting.validation import ValidationSource
    from metaphase.figures import Detections
    from metaphase.labels.dataset import Dataset

app = typer.Typer(add_completion=False)

_WINDOW, _TRUST, _INPUT = "Window", "Interval and review", "Input"
_COLUMNS = (
    "slide", "count", "low", "high", "per_mm2", "score", "could_be", "window_mm2", "tissue_mm2",
    "slide_count", "slide_mm2", "slide_per_mm2", "labelled", "notes",
)  # fmt: skip


@app.command(cls=command_class(needs={"--density": "--out", "--complete": "--review"}))
def count(
    detections: Annotated[list[Path], argument("detections")],
    out: Annotated[Path | None, option("--out", default="print only")] = None,
    area_mm2: Annotated[float | None, option("--area-mm2", panel=_WINDOW)] = None,
    shape: Annotated[str, option("--shape", panel=_WINDOW)] = "square",
    either_way: Annotated[bool, option("--either-way", panel=_WINDOW)] = False,
    field_diameter: Annotated[float | None, option("--field-diameter", panel=_WINDOW)] = None,
    top: Annotated[int, option("--top", panel=_WINDOW)] = 1,
    min_tissue: Annotated[float, option("--min-tissue", panel=_WINDOW)] = 0.5,
    threshold: Annotated[float | None, option("--threshold", panel=_INPUT)] = None,
    mpp: Annotated[float | None, option("--mpp", panel=_INPUT)] = None,
    images: Annotated[Path | None, option("--images", panel=_INPUT)] = None,
    labels: Annotated[Path | None, option("--labels", panel=_INPUT)] = None,
    validation: Annotated[str | None, option("--validation", panel=_TRUST)] = None,
    review: Annotated[Path | None, option("--review", panel=_TRUST)] = None,
    complete: Annotated[bool, option("--complete", panel=_TRUST)] = False,
    seed: Annotated[int, option("--seed", panel=_TRUST)] = 0,
    density: Annotated[bool, option("--density", panel=_WINDOW)] = False,
) -> None:
    """Count mitotic figures where they are most, with an interval and a mitotic score.

    The window is the fullest of its shape and area anywhere on the slide, exactly. Slides that
    fail are told and the others go on.

    Exit code: 0 all is well, 1 some slides failed, 2 wrong usage.
    """
    from metaphase.counting.count import count_slide
    from metaphase.counting.review import load_review
    from metaphase.counting.validation import read_validation
    from metaphase.counting.window import AREA_MM2, WindowShape, fields_area_mm2
    from metaphase.errors import MetaphaseError

    area = area_mm2 or (fields_area_mm2(field_diameter) if field_diameter else AREA_MM2)
    window = WindowShape.parse(shape, area, either_way=either_way)
    known = _dataset(labels)
    measured = read_validation(validation) if validation else None
    decisions = load_review(review) if review else None
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    sources: list[str] = []
    for name, load, folder in _slides(detections, mpp, known):
        try:
            found = load() if threshold is None else load().with_provenance(threshold=threshold)
            result = count_slide(
                found,
                window,
                analysed=_ground(found, folder, images),
                least_tissue=min_tissue,
                top=top,
                validation=_validation(found, measured),
                decisions=decisions,
                complete=complete,
                field_diameter_mm=field_diameter,
                seed=seed,
            )
            rows.append(_row(name, result, known))
            if result.validation is not None:
                sources.append(str(result.validation))
            if out is not None:
                _write(out / name, found, result, density)
        except MetaphaseError as error:
            failures.append(f"{name}: {error}")
    if out is not None:
        _write_table(out, rows)
    _print_table(rows, sources)
    for failure in failures:
        typer.echo(f"metaphase: {failure}", err=True)
    if failures:
        raise typer.Exit(1)


def _slides(
    paths: list[Path], mpp: float | None, dataset: Dataset | None
) -> Iterator[tuple[str, Callable[[], Detections], Path | None]]:
    """Yield each slide's name, how to load it, and its folder; ours are loaded one by one."""
    from metaphase.detectionfile import JSON_NAME, load_detections
    from metaphase.exchange.read import read_detections

    for path in paths:
        ours = sorted(p.parent for p in path.rglob(JSON_NAME)) if path.is_dir() else []
        if ours:
            for folder in ours:
                yield folder.resolve().name, partial(load_detections, folder), folder
            continue
        for name, found in read_detections(path, mpp=mpp, dataset=dataset).items():
            yield name, partial(_given, found), None


def _given(found: Detections) -> Detections:
    return found


def _dataset(labels: Path | None) -> Dataset | None:
    if labels is None:
        return None
    from metaphase.labels.read import load_dataset

    return load_dataset(labels)


def _validation(found: Detections, measured: ValidationSource | None) -> Validation | None:
    """Return what is known of the detector at the threshold of these detections."""
    from metaphase.counting.validation import validation_of

    known = measured or validation_of(found.provenance)
    return known.at(found.provenance.threshold) if known else None


def _ground(found: Detections, folder: Path | None, images: Path | None) -> AnalysedRegion:
    """Return the masks beside the detections; tissue is looked for if the slides were named."""
    from dataclasses import replace

    from metaphase.counting.analysedregion import AnalysedRegion, load_analysed_region

    analysed = load_analysed_region(folder, found.provenance) if folder else AnalysedRegion()
    if images is None or analysed.tissue is not None:
        return analysed
    from metaphase.errors import SlideError
    from metaphase.slides.open import open_slide
    from metaphase.slides.tissue import find_tissue

    made = found.provenance
    path = images / made.image
    if not path.is_file():
        raise SlideError.of(path, "is not there, so its tissue is unknown")
    with open_slide(path, mpp=made.mpp) as slide:
        return replace(analysed, tissue=find_tissue(slide))


def _row(name: str, result: MitoticCount, dataset: Dataset | None) -> dict[str, Any]:
    best = result.hotspots[0]
    found, score = best.estimate, best.score
    return {
        "slide": name,
        "count": best.count,
        "low": found.low if found else "",
        "high": found.high if found else "",
        "per_mm2": round(best.hotspot.per_mm2, 3),
        "score": score.score if score else "",
        "could_be": "/".join(map(str, score.could_be)) if score else "",
        "window_mm2": round(best.hotspot.area_mm2, 4),
        "tissue_mm2": round(best.hotspot.tissue_mm2, 4),
        "slide_count": result.total,
        "slide_mm2": round(result.area_mm2, 4),
        "slide_per_mm2": round(result.per_mm2, 3),
        "labelled": _labelled(name, result, dataset),
        "notes": " ".join(result.notes),
    }


def _labelled(name: str, result: MitoticCount, dataset: Dataset | None) -> int | str:
    """Return how many labelled figures the first hotspot holds."""
    from metaphase.figures import points_of
    from metaphase.labels.reading import case_id

    for key in (name, case_id(result.image)):
        if dataset is not None and key in dataset and dataset[key].labelled:
            points = points_of(dataset[key].figures)
            return int(result.hotspots[0].hotspot.window.contains(points).sum())
    return ""


def _write(folder: Path, found: Detections, result: MitoticCount, density: bool) -> None:
    from metaphase.counting.analysedregion import bounds_px
    from metaphase.exchange.qupath import write_hotspots
    from metaphase.files import write_json, write_text

    offset_px = bounds_px(found.provenance)
    write_hotspots(result, folder / "hotspots.geojson", offset_px=offset_px)
    if density:
        write_text(folder / "density.csv", _density(found))
    write_json(folder / "count.json", result.to_dict())


def _density(found: Detections) -> str:
    """Return the cells of the density map that are not empty, as CSV."""
    import numpy as np

    from metaphase.counting.density import density_map
    from metaphase.figures import Label

    made = found.provenance
    points = found.above_threshold().with_label(Label.MITOTIC).points
    grid = density_map(points, (made.width_px, made.height_px), made.mpp)
    rows = ["x_px,y_px,width_px,per_mm2"]
    for i, j in np.argwhere(grid.per_mm2 >= 5e-4):
        x, y = j * grid.cell_px, i * grid.cell_px
        rows.append(f"{x:.2f},{y:.2f},{grid.cell_px:.2f},{grid.per_mm2[i, j]:.3f}")
    return "\n".join(rows) + "\n"


def _write_table(out: Path, rows: list[dict[str, Any]]) -> None:
    from metaphase.files import write_json, write_text

    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(out / "counts.csv", text.getvalue())
    write_json(out / "counts.json", rows)


def _print_table(rows: list[dict[str, Any]], sources: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        return
    shown = Table(box=None, header_style="bold", pad_edge=False)
    names = ("slide", "count", "95 %", "per mm2", "score", "slide", "per mm2", "labelled")
    for i, name in enumerate(names):
        shown.add_column(name, justify="left" if i == 0 else "right", no_wrap=i != 0)
    for row in rows:
        interval = f"{row['low']} to {row['high']}" if row["low"] != "" else "-"
        score = str(row["score"] or "-")
        if "/" in row["could_be"]:
            score += f" (could be {row['could_be']})"
        shown.add_row(
            row["slide"], str(row["count"]), interval, f"{row['per_mm2']:.2f}", score,
            str(row["slide_count"]), f"{row['slide_per_mm2']:.2f}", str(row["labelled"]) or "-",
        )  # fmt: skip
    console = Console()
    console.print(shown)
    for source in dict.fromkeys(sources):
        told = f"Intervals: {source}."
        console.print(told, style="dim", soft_wrap=True, markup=False, highlight=False)
    for note in dict.fromkeys(f"{row['slide']}: {row['notes']}" for row in rows if row["notes"]):
        console.print(note, style="dim", soft_wrap=True, markup=False, highlight=False)
