"""Many images into one folder: what is done is skipped, what fails is listed, the rest goes on.

Every image has its folder with ``detections.csv`` and ``detections.json``, ``detections.geojson``
for QuPath, ``overlay.png``, ``tissue.geojson`` where tissue was looked for, and ``roi.geojson``
where a region of interest was given. The JSON is written last: where it is, the folder is complete.
Until then finished blocks are kept in ``.blocks``.
"""

from __future__ import annotations

import csv
import io
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from metaphase.detection.executor import Executor, LocalExecutor
from metaphase.detection.geojson import save_geojson
from metaphase.detection.inputs import Job
from metaphase.detection.overlay import Mark, marks_of, save_overlay
from metaphase.detection.plan import Plan, Settings, parameters_of, read_roi
from metaphase.detection.runtime import Runtime
from metaphase.detectionfile import CSV_NAME, JSON_NAME, load_detections, save_detections
from metaphase.errors import DetectionsError, InterruptedRunError, MetaphaseError
from metaphase.figures import Detections, Label
from metaphase.files import write_json, write_text
from metaphase.labels.qupath import bounds_offset
from metaphase.models.modelfile import Model
from metaphase.provenance import Parameters
from metaphase.slides.mask import TissueMask
from metaphase.slides.slide import Slide
from metaphase.units import area_mm2

GEOJSON_NAME = "detections.geojson"
OVERLAY_NAME = "overlay.png"
TISSUE_NAME = "tissue.geojson"
ROI_NAME = "roi.geojson"
BLOCKS_NAME = ".blocks"
FAILURES_NAME = "failures.csv"

_WRITTEN = (JSON_NAME, OVERLAY_NAME, TISSUE_NAME, ROI_NAME, GEOJSON_NAME, CSV_NAME)

Marks = Callable[[Job, Detections], Sequence[Mark]]
"""Chooses what an overlay shows, for instance by comparing with the labels of the job's case."""


@dataclass(frozen=True)
class Outcome:
    """How it went with one image. ``figures`` are the mitotic figures above the threshold."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    reason: str = ""
    figures: int = 0
    area_mm2: float = 0.0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass
class Watcher:
    """What is told while it runs; all three may be replaced."""

    begins: Callable[[Job], None] = lambda job: None
    progress: Callable[[float, float], None] = lambda done, total: None
    ends: Callable[[Outcome], None] = lambda outcome: None


def detect_many(
    jobs: Iterable[Job],
    model: Model,
    out: str | Path,
    runtime: Runtime,
    settings: Settings,
    *,
    batch: int | None = None,
    again: bool = False,
    overlay: bool = True,
    redraw: bool = False,
    marks: Marks = lambda job, detections: marks_of(detections),
    watcher: Watcher | None = None,
) -> list[Outcome]:
    """Detect in every image and return how it went, in the order of the jobs.

    An image is skipped if its folder is complete and was made from the same image by the same
    model with the same parameters, unless ``again``; ``redraw`` draws its overlay anew, for other
    ``marks``. Failures are written to ``failures.csv`` in
    ``out`` as they come; without any, the file is removed. KeyboardInterrupt passes through: the
    same call then goes on where it was.
    """
    executor = LocalExecutor(model, runtime, settings, batch)
    how = How(again, overlay, redraw, marks)
    return detect_batch(executor, jobs, model, out, settings, how, watcher)


@dataclass(frozen=True)
class How:
    """What is done with finished images and with pictures; see ``detect_many``."""

    again: bool = False
    overlay: bool = True
    redraw: bool = False
    marks: Marks = lambda job, detections: marks_of(detections)


def detect_batch(
    executor: Executor,
    jobs: Iterable[Job],
    model: Model,
    out: str | Path,
    settings: Settings,
    how: How | None = None,
    watcher: Watcher | None = None,
) -> list[Outcome]:
    """As ``detect_many``, with an executor made for the same ``model`` and ``settings``.

    Where the executor takes several images at once, the watcher is called from their threads, never
    by two at the same time; its progress is then that of all images that have begun.
    """
    out, jobs = Path(out), list(jobs)
    run = _Run(executor, model, out, settings, how or How(), _Watched(watcher or Watcher()))
    if executor.at_once == 1:
        for number, job in enumerate(jobs):
            run(number, job)
    else:
        _at_once(run, jobs, executor.at_once)
    return [run.outcomes[number] for number in range(len(jobs))]


def _at_once(run: _Run, jobs: Sequence[Job], threads: int) -> None:
    """Run the jobs in threads. The first error that is not an image's own ends them all."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="metaphase-image")
    try:
        for future in [pool.submit(run, number, job) for number, job in enumerate(jobs)]:
            future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class _Watched:
    """A watcher for several images at once: one call at a time, and their areas added up."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.lock = threading.RLock()
        self._areas: dict[str, tuple[float, float]] = {}

    def begins(self, job: Job) -> None:
        with self.lock:
            self.watcher.begins(job)

    def progress(self, job: Job, together: bool) -> Callable[[float, float], None]:
        def tell(done: float, total: float) -> None:
            with self.lock:
                self._areas[job.name] = done, total
                areas = self._areas.values() if together else [(done, total)]
                self.watcher.progress(sum(a for a, _ in areas), sum(b for _, b in areas))

        return tell

    def ends(self, outcome: Outcome) -> None:
        with self.lock:
            self.watcher.ends(outcome)


@dataclass
class _Run:
    """All images' way into one folder."""

    executor: Executor
    model: Model
    out: Path
    settings: Settings
    how: How
    watched: _Watched

    def __post_init__(self) -> None:
        self.outcomes: dict[int, Outcome] = {}

    def __call__(self, number: int, job: Job) -> None:
        self.watched.begins(job)
        started = time.monotonic()
        try:
            work = _Work(job, self.model, self.executor, self.settings, self.out / job.name)
            outcome = work.run(self.how, self.watched.progress(job, self.executor.at_once > 1))
        except InterruptedRunError:
            raise
        except MetaphaseError as error:
            outcome = Outcome(job, "failed", str(error))
        except Exception as error:  # one image's trouble must not cost the others
            outcome = Outcome(job, "failed", f"{type(error).__name__}: {error}")
        outcome = replace(outcome, seconds=time.monotonic() - started)
        with self.watched.lock:
            self.outcomes[number] = outcome
            _write_failures(self._in_order(), self.out / FAILURES_NAME)
            self.watched.ends(outcome)

    def _in_order(self) -> Iterator[Outcome]:
        return (self.outcomes[number] for number in sorted(self.outcomes))


@dataclass(frozen=True)
class _Work:
    """One image's way from file to folder."""

    job: Job
    model: Model
    executor: Executor
    settings: Settings
    folder: Path

    def run(self, how: How, progress: Callable[[float, float], None]) -> Outcome:
        with self.job.open() as slide:
            image_sha256 = self.executor.fingerprint(self.job, slide)
            found = None if how.again else self._finished(slide, image_sha256)
            if found is not None:
                if not (self.folder / GEOJSON_NAME).exists():
                    save_geojson(found, self.folder / GEOJSON_NAME, slide)
                if not (self.folder / ROI_NAME).exists():
                    self._write_roi(slide)
                if how.overlay and (how.redraw or not (self.folder / OVERLAY_NAME).exists()):
                    self._draw(slide, found, how.marks)
                return self._outcome("skipped", found, slide)
            plan = self.executor.plan(self.job, slide)
            blocks = self.folder / BLOCKS_NAME
            found = self.executor.carry_out(self.job, slide, plan, image_sha256, blocks, progress)
            self._write(slide, plan, found, how.marks if how.overlay else None)
            return self._outcome("done", found, slide, plan)

    def _finished(self, slide: Slide, image_sha256: str) -> Detections | None:
        """Return the detections that are there already, if they are what would be made."""
        try:
            found = load_detections(self.folder)
        except DetectionsError:
            return None
        made = found.provenance
        parameters = parameters_of(slide, self.model, self.settings)
        parameters["precision"] = self.executor.precision
        # In one form: a file has lists where the program has tuples.
        expected = Parameters.model_validate(parameters).to_json()
        written = made.parameters.to_json()
        threshold = self.settings.threshold
        same = (
            made.image_sha256 == image_sha256
            and made.model_id == self.model.id
            and made.mpp == slide.mpp
            and made.threshold
            == (self.model.card.threshold.value if threshold is None else threshold)
            and all(written.get(name, ...) == value for name, value in expected.items())
        )
        return found if same else None

    def _write(self, slide: Slide, plan: Plan, found: Detections, marks: Marks | None) -> None:
        strays = self.folder.glob(".*.tmp*")  # half-written when a run was killed
        for path in (*(self.folder / name for name in _WRITTEN), *strays):
            path.unlink(missing_ok=True)
        save_geojson(found, self.folder / GEOJSON_NAME, slide)
        if plan.tissue is not None:
            self._write_mask(slide, plan.tissue, TISSUE_NAME, "Tissue")
        self._write_roi(slide)
        if marks is not None:
            self._draw(slide, found, marks)
        save_detections(found, self.folder)
        shutil.rmtree(self.folder / BLOCKS_NAME, ignore_errors=True)

    def _write_roi(self, slide: Slide) -> None:
        """Keep the region of interest, so that counting stays inside of it."""
        if self.settings.roi is not None:
            roi = read_roi(self.settings.roi, slide)
            self._write_mask(slide, roi, ROI_NAME, "Region of interest")

    def _write_mask(self, slide: Slide, mask: TissueMask, name: str, title: str) -> None:
        told = mask.to_geojson(title, offset_px=bounds_offset(slide.properties))
        write_json(self.folder / name, told)

    def _draw(self, slide: Slide, found: Detections, marks: Marks) -> None:
        save_overlay(slide, marks(self.job, found), self.folder / OVERLAY_NAME)

    def _outcome(
        self,
        status: Literal["done", "skipped"],
        found: Detections,
        slide: Slide,
        plan: Plan | None = None,
    ) -> Outcome:
        figures = len(found.above_threshold().with_label(Label.MITOTIC))
        area = 0.0 if plan is None else float(plan.area_px().sum()) * area_mm2(1, 1, slide.mpp)
        notes = list(getattr(slide, "notes", ()))
        notes += [f"{slide.path.name}: {text}" for text in found.provenance.warnings]
        return Outcome(self.job, status, "", figures, area, notes=tuple(notes))


def _write_failures(outcomes: Iterable[Outcome], path: Path) -> None:
    """Write the failures so far, or remove the file of an earlier run."""
    failed = [o for o in outcomes if o.status == "failed"]
    if not failed:
        path.unlink(missing_ok=True)
        return
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["image", "name", "reason"])
    writer.writerows([o.job.image, o.job.name, " ".join(o.reason.split())] for o in failed)
    write_text(path, buffer.getvalue())
