"""Many images into one folder: finished ones are skipped, failures are listed, the others continue.

Every image has its own result folder (``resultfolder.py``) and a row in ``summary.csv``. What
happens is also logged to ``metaphase.detection``.
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from metaphase.detection.executor import Executor
from metaphase.detection.failures import FAILURES_NAME, FailureTable
from metaphase.detection.imagehashes import HASHES_NAME, ImageHashes
from metaphase.detection.inputs import Job
from metaphase.detection.overlay import Mark, marks_of
from metaphase.detection.plan import Plan, Settings, parameters_of
from metaphase.detection.resultfolder import ResultFolder
from metaphase.detection.summary import SUMMARY_NAME, SummaryRow, SummaryTable
from metaphase.errors import InputError, InterruptedRunError, MetaphaseError
from metaphase.figures import Detections, Label
from metaphase.locks import locked_folder
from metaphase.models.modelfile import Model
from metaphase.slides.address import shown
from metaphase.slides.slide import Slide
from metaphase.units import area_mm2

MAX_OVERLAYS = 20
"""Most images of a call for which overlays are drawn by default: drawing takes time, and thousands
of overlays are rarely viewed."""

log = logging.getLogger("metaphase.detection")
log.addHandler(logging.NullHandler())

_NOT_WRITABLE = {errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}

Marks = Callable[[Job, Detections], Sequence[Mark]]
"""Returns what an overlay shows, for instance a comparison with the labels of the job's case."""


def default_marks(job: Job, detections: Detections) -> Sequence[Mark]:
    """Return a ring for each detection, coloured by its label."""
    return marks_of(detections)


@dataclass(frozen=True)
class Outcome:
    """What became of one image. ``figures`` are the mitotic figures above the threshold.

    ``area_mm2`` is the analysed area (0 for a skipped image), ``notes`` are warnings, ``summary``
    is the row of ``summary.csv`` (None for an image that failed).
    """

    job: Job
    status: Literal["done", "skipped", "failed"]
    reason: str = ""
    figures: int = 0
    area_mm2: float = 0.0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    summary: SummaryRow | None = None


@dataclass
class BatchEvents:
    """Functions that are called while a batch runs, never two at the same time.

    ``progress`` gets the mm2 that are done and in all: of the image in work, or of all images that
    have begun where several are in work.
    """

    started: Callable[[Job], None] = lambda job: None
    progress: Callable[[float, float], None] = lambda done, total: None
    finished: Callable[[Outcome], None] = lambda outcome: None


@dataclass(frozen=True)
class BatchOptions:
    """What to do with finished images and with overlays.

    ``overwrite`` repeats finished images. ``overlay`` None draws overlays for at most
    ``MAX_OVERLAYS`` images. ``redraw`` draws those of finished images again, for other ``marks``.
    """

    overwrite: bool = False
    overlay: bool | None = None
    redraw: bool = False
    marks: Marks = default_marks


def detect_batch(
    executor: Executor,
    jobs: Iterable[Job],
    model: Model,
    out: str | Path,
    settings: Settings,
    options: BatchOptions | None = None,
    events: BatchEvents | None = None,
) -> list[Outcome]:
    """Detect in every image and return the outcomes in the order of the jobs.

    ``model`` and ``settings`` are those of the executor. An image is skipped if its folder is
    complete and was made from the same image by the same model with the same parameters. Failures
    are appended to ``failures.csv`` in ``out``, finished images to ``summary.csv``.
    KeyboardInterrupt is passed on: the same call then resumes. Raises InputError where ``out``
    cannot be written to, FolderInUseError where another command writes to it.
    """
    jobs = list(jobs)
    options = options or BatchOptions()
    if options.overlay is None:
        options = replace(options, overlay=len(jobs) <= MAX_OVERLAYS)
    with locked_folder(out) as folder:
        run = _Batch(
            executor,
            model,
            folder,
            settings,
            options,
            _SerialEvents(events or BatchEvents()),
            images_at_once(executor, len(jobs)),
        )
        run.failures.clear()
        if run.at_once == 1:
            for number, job in enumerate(jobs):
                run(number, job)
        else:
            _run_in_threads(run, jobs)
        run.summary.finish(job.name for job in jobs)
    return [run.outcomes[number] for number in range(len(jobs))]


def images_at_once(executor: Executor, images: int) -> int:
    """Return how many of a number of images are in work at a time."""
    return max(1, min(executor.images_at_once, images))


def _run_in_threads(run: _Batch, jobs: Sequence[Job]) -> None:
    """Run the jobs in threads. The first error that does not concern one image ends them all."""
    pool = ThreadPoolExecutor(run.at_once, thread_name_prefix="metaphase-image")
    try:
        for future in [pool.submit(run, number, job) for number, job in enumerate(jobs)]:
            future.result()
    except BaseException:
        run.executor.stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _SerialEvents:
    """The events of several images in work: one call at a time, and their areas added up."""

    def __init__(self, events: BatchEvents) -> None:
        self.events = events
        self.lock = threading.RLock()
        self._done = self._total = 0.0

    def started(self, job: Job) -> None:
        with self.lock:
            self.events.started(job)

    def progress_of(self, job: Job, together: bool) -> Callable[[float, float], None]:
        before = (0.0, 0.0)

        def report(done: float, total: float) -> None:
            nonlocal before
            with self.lock:
                self._done += done - before[0]
                self._total += total - before[1]
                before = done, total
                self.events.progress(*((self._done, self._total) if together else before))

        return report


@dataclass
class _Batch:
    """All images of a call."""

    executor: Executor
    model: Model
    out: Path
    settings: Settings
    options: BatchOptions
    events: _SerialEvents
    at_once: int
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.failures = FailureTable(self.out / FAILURES_NAME)
        self.summary = SummaryTable(self.out / SUMMARY_NAME)
        self.hashes = ImageHashes(self.out / HASHES_NAME)

    def __call__(self, number: int, job: Job) -> None:
        """Do one image and record its outcome."""
        self.events.started(job)
        started = time.monotonic()
        try:
            outcome = self._detect(job)
        except InterruptedRunError:
            raise
        except MetaphaseError as error:
            outcome = Outcome(job, "failed", str(error))
        except Exception as error:  # the fault of one image must not stop the others
            self._check_disk(error)
            log.debug("%s: unexpected error", shown(job.image), exc_info=True)
            outcome = Outcome(job, "failed", f"{type(error).__name__}: {error}")
        outcome = replace(outcome, seconds=time.monotonic() - started)
        if outcome.status == "done" and outcome.summary is not None:
            outcome = replace(outcome, summary=replace(outcome.summary, seconds=outcome.seconds))
        try:
            self._record(number, outcome)
        except OSError as error:
            self._check_disk(error)
            raise

    def _record(self, number: int, outcome: Outcome) -> None:
        with self.events.lock:
            self.outcomes[number] = outcome
            if outcome.status == "failed":
                self.failures.add(outcome.job, outcome.reason)
                self.summary.remove(outcome.job.name)
            elif outcome.summary is not None and not (
                outcome.status == "skipped" and self.summary.has(outcome.summary)
            ):
                self.summary.add(outcome.summary)
            _log(outcome)
            self.events.events.finished(outcome)

    def _check_disk(self, error: Exception) -> None:
        """Raise InputError where nothing more can be written: that concerns all images."""
        if isinstance(error, OSError) and error.errno in _NOT_WRITABLE:
            raise InputError.of(
                self.out,
                f"cannot be written to: {error.strerror}",
                way_out="free some space, or choose another --out; the same command resumes",
            ) from error

    def _detect(self, job: Job) -> Outcome:
        folder = ResultFolder(self.out / job.name)
        with job.open() as slide:
            if not self.options.overwrite:
                detections = self._finished(folder, job, slide)
                if detections is not None:
                    self._complete(folder, job, slide, detections)
                    return self._skipped(job, slide, detections)
            image_sha256 = self._hash(job, slide)
            plan = self.executor.plan(job, slide)
            log.debug(
                "%s: %s x %s px at %.4g um/px (%s), %.2f mm2 in %s tiles",
                *(shown(job.image), slide.width_px, slide.height_px, slide.mpp, slide.mpp_source),
                *(_area(plan, slide), len(plan.area_px())),
            )
            progress = self.events.progress_of(job, self.at_once > 1)
            detections = self.executor.run(
                job, slide, plan, image_sha256, folder.checkpoint, progress
            )
            marks = self.options.marks(job, detections) if self.options.overlay else None
            folder.write(slide, plan, detections, self.settings, marks)
            return _outcome(job, "done", detections, slide, plan)

    def _skipped(self, job: Job, slide: Slide, detections: Detections) -> Outcome:
        """Return the outcome of a finished image. Its area is only planned for a new row."""
        outcome = _outcome(job, "skipped", detections, slide)
        if (row := outcome.summary) is None or self.summary.has(row):
            return outcome
        area = _area(self.executor.plan(job, slide), slide)
        return replace(outcome, summary=replace(row, area_mm2=area))

    def _hash(self, job: Job, slide: Slide) -> str:
        began = time.time()
        sha256 = self.executor.hash(job, slide)
        self.hashes.add(job.image, sha256, began)
        return sha256

    def _finished(self, folder: ResultFolder, job: Job, slide: Slide) -> Detections | None:
        if not folder.is_complete:
            return None
        threshold = self.settings.threshold
        return folder.finished(
            slide,
            self.hashes.get(job.image) or self._hash(job, slide),
            self.model.id,
            self.model.card.threshold.value if threshold is None else threshold,
            parameters_of(slide, self.model, self.settings).updated(
                precision=self.executor.precision
            ),
        )

    def _complete(
        self, folder: ResultFolder, job: Job, slide: Slide, detections: Detections
    ) -> None:
        folder.add_missing(slide, detections, self.settings)
        if self.options.overlay and (self.options.redraw or not folder.has_overlay):
            folder.draw(slide, self.options.marks(job, detections))


def _outcome(
    job: Job,
    status: Literal["done", "skipped"],
    detections: Detections,
    slide: Slide,
    plan: Plan | None = None,
) -> Outcome:
    figures = len(detections.above_threshold().with_label(Label.MITOTIC))
    area = 0.0 if plan is None else _area(plan, slide)
    warnings = (*getattr(slide, "notes", ()), *detections.provenance.warnings)
    notes = list(getattr(slide, "notes", ()))
    notes += [f"{slide.path.name}: {text}" for text in detections.provenance.warnings]
    threshold = detections.provenance.threshold
    row = SummaryRow(shown(job.image), job.name, slide.mpp, area, figures, threshold, warnings)
    return Outcome(job, status, "", figures, area, notes=tuple(notes), summary=row)


def _area(plan: Plan, slide: Slide) -> float:
    """Return the analysed area in mm2."""
    return float(plan.area_px().sum()) * area_mm2(1, 1, slide.mpp)


def _log(outcome: Outcome) -> None:
    for note in outcome.notes:
        log.warning("%s", note)
    if outcome.status == "failed":
        log.error("%s: failed: %s", shown(outcome.job.image), outcome.reason)
    else:
        log.info(
            "%s: %s, %d mitotic figures, %.1f s",
            *(shown(outcome.job.image), outcome.status, outcome.figures, outcome.seconds),
        )
