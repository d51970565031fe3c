"""Who does the work of one image: this process, or a cluster (``cluster.py``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from metaphase.detection.detect import Progress, carry_out, fingerprint_of_image, provenance
from metaphase.detection.inputs import Job
from metaphase.detection.plan import Plan, Settings, make_plan
from metaphase.detection.runtime import Runtime, runtime_precision
from metaphase.figures import Detections
from metaphase.models.modelfile import Model
from metaphase.slides.slide import Slide


class Executor(Protocol):
    """Does the parts of an image's work that take long.

    ``at_once`` is how many images keep it busy; the calls for them come from as many threads.
    """

    at_once: int

    @property
    def precision(self) -> str:
        """The precision in which the network is computed."""

    def fingerprint(self, job: Job, slide: Slide) -> str:
        """Return the SHA-256 of the image."""

    def plan(self, job: Job, slide: Slide) -> Plan:
        """Settle how the image is looked at."""

    def carry_out(
        self, job: Job, slide: Slide, plan: Plan, image_sha256: str, blocks: Path, tell: Progress
    ) -> Detections:
        """Do what the plan says, and keep what is finished in the folder ``blocks``."""


@dataclass
class LocalExecutor:
    """Works in this process."""

    model: Model
    runtime: Runtime
    settings: Settings
    batch: int | None = None
    at_once: int = 1

    @property
    def precision(self) -> str:
        """The precision in which the network is computed."""
        return runtime_precision(self.runtime)

    def fingerprint(self, job: Job, slide: Slide) -> str:
        """Return the SHA-256 of the image."""
        return fingerprint_of_image(slide)

    def plan(self, job: Job, slide: Slide) -> Plan:
        """Settle how the image is looked at."""
        return make_plan(slide, self.model, self.settings)

    def carry_out(
        self, job: Job, slide: Slide, plan: Plan, image_sha256: str, blocks: Path, tell: Progress
    ) -> Detections:
        """Do what the plan says, and keep what is finished in the folder ``blocks``."""
        made = provenance(slide, self.model, plan, image_sha256, self.runtime)
        return carry_out(plan, made, slide, self.model, self.runtime, self.batch, blocks, tell)
