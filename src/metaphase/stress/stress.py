"""Scores of a model on labelled images that were changed in known ways, at its own threshold.

OUT/stress.csv and stress.json hold F1 and count of every level (``report/stress.py`` draws them).
OUT/detections keeps the detections of each level, so that an interrupted sweep can be resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from metaphase.csvfile import csv_text
from metaphase.detection.detect import detect
from metaphase.detection.runtime import Runtime, open_runtime
from metaphase.detectionfile import JSON_NAME, load_detections, save_detections
from metaphase.errors import InputError, InterruptedRunError, LabelError
from metaphase.evaluation.evaluate import evaluate
from metaphase.figures import Detections, Label
from metaphase.files import write_json, write_text
from metaphase.labels.dataset import Case, Dataset
from metaphase.locks import locked_folder
from metaphase.models.modelfile import Model
from metaphase.slides.open import open_case
from metaphase.stress.perturbations import MPP_ERROR, SWEEPS, Changed, Sweep
from metaphase.textfile import read_json
from metaphase.values import finite

REAL_SHIFTS: dict[str, float] = {
    "hue": 32.2,
    "saturation": 0.504,
    "brightness": 0.162,
    "haematoxylin": 0.797,
    "eosin": 0.957,
}
"""Largest difference between two of six real scanners (Hamamatsu XR, S360 and NanoZoomer, Aperio
CS2 and XT, TUPAC16's), by sweep, on the scale of ``Sweep.shift``: degrees, or the logarithm of a
factor. Measured by ``studies/scanner_shifts.py`` on the crops and fields of its data."""

CSV_NAME, STRESS_NAME = "stress.csv", "stress.json"
MOST_PX = 100_000_000
"""Larger images do not fit into memory twice."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Point:
    """The score of one level of one sweep; ``within``: real scanners differ by as much."""

    sweep: str
    level: float
    unit: str
    shift: float
    within: bool | None
    f1: float | None
    precision: float | None
    recall: float | None
    count: int
    labelled: int


def stress(
    model: Model,
    dataset: Dataset,
    out: str | Path,
    *,
    sweeps: Sequence[Sweep] = SWEEPS,
    shifts: dict[str, float] | None = None,
    device: str = "auto",
    runtime: Runtime | None = None,
    progress: Progress = lambda what, done, total: None,
) -> list[Point]:
    """Sweep, score at the model's frozen threshold, and write everything to ``out``.

    ``shifts`` are the differences between real scanners to be marked (see ``REAL_SHIFTS``). Raises
    LabelError where no case is labelled, InputError for images that do not fit into memory and
    folders that cannot be written to, InterruptedRunError on Ctrl-C.
    """
    cases = dataset.labelled()
    if not len(cases):
        raise LabelError.of(dataset.source or dataset.name, "has no labelled cases to score on")
    shifts = REAL_SHIFTS if shifts is None else shifts
    sweeps = [sweep.reaching(shifts.get(sweep.name)) for sweep in sweeps]
    with locked_folder(out) as folder:
        work = _Work(model, cases, folder / "detections", runtime or open_runtime(model, device))
        try:
            points = _points(work, sweeps, shifts, folder, progress)
        except KeyboardInterrupt:
            message = f"interrupted; the same command resumes from {folder}"
            raise InterruptedRunError(message) from None
        _write(points, sweeps, shifts, model, dataset, folder)
    return points


def _points(
    work: _Work,
    sweeps: Sequence[Sweep],
    shifts: dict[str, float],
    folder: Path,
    progress: Progress,
) -> list[Point]:
    """Detect and score at every level of every sweep."""
    steps = [(sweep, level) for sweep in sweeps for level in sweep.levels]
    points = []
    for number, (sweep, level) in enumerate(steps):
        progress(f"{sweep.name} {level:g} {sweep.unit}".strip(), number, len(steps))
        points.append(_point(work.detections(sweep, level), work.cases, sweep, level, shifts))
        _write_table(points, folder / CSV_NAME)
    progress("", len(steps), len(steps))
    return points


@dataclass(frozen=True)
class _Work:
    model: Model
    cases: Dataset
    folder: Path
    runtime: Runtime

    def detections(self, sweep: Sweep, level: float) -> dict[str, Detections]:
        """Return the detections at a level, by case; those that the folder has are not repeated."""
        folder = self.folder / level_name(sweep, level)
        return {case.id: self._one(case, sweep, level, folder) for case in self.cases}

    def _one(self, case: Case, sweep: Sweep, level: float, folder: Path) -> Detections:
        place = folder / case.id
        if (place / JSON_NAME).is_file():
            kept = load_detections(place)
            if kept.provenance.model_id == self.model.id:
                return kept
        with open_case(case) as slide:
            if slide.width_px * slide.height_px > MOST_PX:
                raise InputError.of(
                    slide.path.name,
                    f"is {slide.width_px} x {slide.height_px} px: too large to be changed whole",
                    way_out="cut a region of it out",
                )
            change = sweep.change
            wrong = slide.mpp * level if sweep.name == MPP_ERROR else slide.mpp
            changed = Changed(slide, lambda p: p if change is None else change(p, level), wrong)
            with changed:
                found = detect(changed, self.model, runtime=self.runtime, tissue=False)
            # Detected at a wrong resolution, scored at the right one.
            found = found.with_provenance(mpp=slide.mpp)
        save_detections(found, place)
        return found


def level_name(sweep: Sweep, level: float) -> str:
    """Return the name of the folder of what was found at a level."""
    return "unchanged" if level == sweep.neutral else f"{sweep.name.replace(' ', '-')}_{level:g}"


def _point(
    found: dict[str, Detections],
    cases: Dataset,
    sweep: Sweep,
    level: float,
    shifts: dict[str, float],
) -> Point:
    scores = evaluate(found, cases)
    shift, real = sweep.shift(level), shifts.get(sweep.name)
    return Point(
        sweep=sweep.name,
        level=level,
        unit=sweep.unit,
        shift=shift,
        within=None if real is None else shift <= real * 1.001 + 1e-9,
        f1=scores.f1,
        precision=scores.precision,
        recall=scores.recall,
        count=sum(len(d.above_threshold().with_label(Label.MITOTIC)) for d in found.values()),
        labelled=cases.count(),
    )


def largest_fall(points: Sequence[Point], sweeps: Sequence[str]) -> float | None:
    """Return the largest decrease of F1 within the differences between real scanners."""
    falls = []
    for name in sweeps:
        mine = [p for p in points if p.sweep == name and p.f1 is not None]
        base = next((p.f1 for p in mine if p.shift == 0), None)
        if base is None:
            continue
        falls += [base - p.f1 for p in mine if p.within and p.f1 is not None]
    return max(falls, default=None)


def _write_table(points: Sequence[Point], path: Path) -> None:
    rows = [asdict(point) for point in points]
    write_text(path, csv_text(tuple(rows[0]), (tuple(row.values()) for row in rows)))


def _write(
    points: Sequence[Point],
    sweeps: Sequence[Sweep],
    shifts: dict[str, float],
    model: Model,
    dataset: Dataset,
    out: Path,
) -> None:
    result: dict[str, Any] = {
        "model": model.card.name,
        "model_id": model.id,
        "threshold": model.card.threshold.value,
        "dataset": dataset.name,
        "real_shifts": shifts,
        "largest_fall_within_real_shifts": {
            sweep.name: largest_fall(points, [sweep.name]) for sweep in sweeps
        },
        "points": [asdict(point) for point in points],
    }
    write_json(out / STRESS_NAME, result)


def read_shifts(path: str | Path) -> dict[str, float]:
    """Read the differences between scanners that ``studies/scanner_shifts.py`` measured."""
    try:
        largest = read_json(path)["largest"]
        shifts = {str(name): finite(value) for name, value in largest.items()}
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError.of(
            path, "holds no differences between scanners", way_out="studies/scanner_shifts.py"
        ) from error
    wrong = [name for name, value in shifts.items() if value is None]
    if wrong:
        raise InputError.of(path, "is no number", record=wrong[0])
    return {name: value for name, value in shifts.items() if value is not None}
