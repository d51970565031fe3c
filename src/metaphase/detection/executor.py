"""Who does the work of one image: this process, or a cluster (``daskexecutor.py``)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from metaphase.detection.detect import hash_image, provenance_of, run_plan
from metaphase.detection.inputs import Job
from metaphase.detection.pipeline import Progress
from metaphase.detection.plan import Plan, Settings, make_plan
from metaphase.detection.runtime import Runtime
from metaphase.errors import InterruptedRunError
from metaphase.figures import Detections
from metaphase.models.modelfile import Model
from metaphase.slides.slide import Slide

TILES_AT_ONCE = 64
"""Tiles of the images that this process works on at a time. A larger image is alone."""


class Executor(Protocol):
    """Does the parts of an image's work that take long."""

    @property
    def images_at_once(self) -> int:
        """The number of images that keep it busy. The calls for them come from as many threads."""

    @property
    def precision(self) -> str:
        """The precision in which the network is computed."""

    def hash(self, job: Job, slide: Slide) -> str:
        """Return the SHA-256 of the image."""

    def plan(self, job: Job, slide: Slide) -> Plan:
        """Return the plan of the image."""

    def run(
        self,
        job: Job,
        slide: Slide,
        plan: Plan,
        image_sha256: str,
        checkpoint: Path,
        progress: Progress,
    ) -> Detections:
        """Carry out the plan. Finished parts are kept in the folder ``checkpoint``."""

    def stop(self) -> None:
        """Give up the images in work: ``run`` soon raises InterruptedRunError in every thread."""


class TileLimit:
    """Lets images in as long as they have at most ``most`` tiles together, and one at least."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._tiles = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, tiles: int) -> Iterator[None]:
        """Wait until there is room for an image of so many tiles, and keep it for the block."""
        with self._changed:
            self._changed.wait_for(lambda: not self._tiles or self._tiles + tiles <= self.most)
            self._tiles += tiles
        try:
            yield
        finally:
            with self._changed:
                self._tiles -= tiles
                self._changed.notify_all()


@dataclass
class LocalExecutor:
    """Works in this process.

    A small image has too few tiles to keep all cores busy, and none are computed while it is opened
    and its files are written. So the next images are begun meanwhile.
    """

    model: Model
    runtime: Runtime
    settings: Settings
    batch: int | None = None
    _limit: TileLimit = field(default_factory=lambda: TileLimit(TILES_AT_ONCE), repr=False)
    _stopped: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def images_at_once(self) -> int:
        """One more than the tiles that are computed side by side; one where that is one."""
        streams = self.runtime.streams
        return streams + 1 if streams > 1 else 1

    @property
    def precision(self) -> str:
        """The precision in which the network is computed."""
        return self.runtime.precision

    def hash(self, job: Job, slide: Slide) -> str:
        """Return the SHA-256 of the image."""
        return hash_image(slide)

    def plan(self, job: Job, slide: Slide) -> Plan:
        """Return the plan of the image."""
        return make_plan(slide, self.model, self.settings)

    def run(
        self,
        job: Job,
        slide: Slide,
        plan: Plan,
        image_sha256: str,
        checkpoint: Path,
        progress: Progress,
    ) -> Detections:
        """Carry out the plan. Finished parts are kept in the folder ``checkpoint``."""
        provenance = provenance_of(slide, self.model, plan, image_sha256, self.runtime)

        def report(done: float, total: float) -> None:
            if self._stopped.is_set():
                raise InterruptedRunError("interrupted; the same command resumes")
            progress(done, total)

        with self._limit.hold(len(plan.tiles)):
            return run_plan(
                plan, provenance, slide, self.model, self.runtime, self.batch, checkpoint, report
            )

    def stop(self) -> None:
        """Give up the images in work: ``run`` soon raises InterruptedRunError in every thread."""
        self._stopped.set()
