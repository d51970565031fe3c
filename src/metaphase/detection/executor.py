"""Who does the work of one image: this process, or a cluster (``daskexecutor.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from metaphase.detection.detect import hash_image, provenance_of, run_plan
from metaphase.detection.inputs import Job
from metaphase.detection.pipeline import Progress
from metaphase.detection.plan import Plan, Settings, make_plan
from metaphase.detection.runtime import Runtime
from metaphase.figures import Detections
from metaphase.models.modelfile import Model
from metaphase.slides.slide import Slide


class Executor(Protocol):
    """Does the parts of an image's work that take long.

    ``images_at_once`` is the number of images that keep it busy. The calls for them come from as
    many threads.
    """

    images_at_once: int

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


@dataclass
class LocalExecutor:
    """Works in this process."""

    model: Model
    runtime: Runtime
    settings: Settings
    batch: int | None = None
    images_at_once: int = 1

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
        return run_plan(
            plan, provenance, slide, self.model, self.runtime, self.batch, checkpoint, progress
        )
