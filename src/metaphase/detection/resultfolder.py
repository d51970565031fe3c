"""The folder with the results of one image.

``detections.csv`` and ``detections.json``, ``detections.geojson`` for QuPath, ``overlay.png``,
``tissue.geojson`` where the analysis was limited to tissue, and ``roi.geojson`` where a region of
interest was given. The JSON is written last: a folder with it is complete. Until then the finished
parts are kept in ``.blocks``.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from metaphase.detection.overlay import Mark, save_overlay
from metaphase.detection.plan import Plan, Settings, read_roi
from metaphase.detectionfile import CSV_NAME, JSON_NAME, load_detections, save_detections
from metaphase.errors import DetectionsError
from metaphase.figures import Detections
from metaphase.files import remove_unfinished, write_json
from metaphase.provenance import Parameters
from metaphase.qupath.bounds import bounds_offset
from metaphase.qupath.features import save_geojson
from metaphase.slides.mask import TissueMask
from metaphase.slides.slide import Slide

GEOJSON_NAME = "detections.geojson"
OVERLAY_NAME = "overlay.png"
TISSUE_NAME = "tissue.geojson"
ROI_NAME = "roi.geojson"
CHECKPOINT_NAME = ".blocks"

_WRITTEN = (JSON_NAME, OVERLAY_NAME, TISSUE_NAME, ROI_NAME, GEOJSON_NAME, CSV_NAME)


class ResultFolder:
    """The results of one image in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def checkpoint(self) -> Path:
        """The folder for finished parts."""
        return self.path / CHECKPOINT_NAME

    @property
    def is_complete(self) -> bool:
        """Whether all results of some image were written."""
        return (self.path / JSON_NAME).exists()

    @property
    def has_overlay(self) -> bool:
        """Whether there is an overlay."""
        return (self.path / OVERLAY_NAME).exists()

    def finished(
        self,
        slide: Slide,
        image_sha256: str,
        model_id: str,
        threshold: float,
        parameters: Parameters,
    ) -> Detections | None:
        """Return the detections of the folder, None unless they are those that would be made.

        ``parameters`` are those that are known before the image is read.
        """
        try:
            detections = load_detections(self.path)
        except DetectionsError:
            return None
        found = detections.provenance
        # In one form: a file has lists where a program may have tuples.
        written, expected = found.parameters.to_json(), parameters.to_json()
        same = (
            found.image_sha256 == image_sha256
            and found.model_id == model_id
            and found.mpp == slide.mpp
            and found.threshold == threshold
            and all(written.get(name, ...) == value for name, value in expected.items())
        )
        return detections if same else None

    def write(
        self,
        slide: Slide,
        plan: Plan,
        detections: Detections,
        settings: Settings,
        marks: Sequence[Mark] | None,
    ) -> None:
        """Write all results; ``marks`` None draws no overlay. Removes the finished parts."""
        remove_unfinished(self.path)
        for name in _WRITTEN:
            (self.path / name).unlink(missing_ok=True)
        save_geojson(detections, self.path / GEOJSON_NAME, slide)
        if plan.tissue is not None:
            self._write_mask(slide, plan.tissue, TISSUE_NAME, "Tissue")
        self._write_roi(slide, settings)
        if marks is not None:
            self.draw(slide, marks)
        save_detections(detections, self.path)
        shutil.rmtree(self.checkpoint, ignore_errors=True)

    def add_missing(self, slide: Slide, detections: Detections, settings: Settings) -> None:
        """Write what a finished folder lacks, and remove what a run that was killed left."""
        remove_unfinished(self.path)
        shutil.rmtree(self.checkpoint, ignore_errors=True)
        if not (self.path / GEOJSON_NAME).exists():
            save_geojson(detections, self.path / GEOJSON_NAME, slide)
        if not (self.path / ROI_NAME).exists():
            self._write_roi(slide, settings)

    def draw(self, slide: Slide, marks: Sequence[Mark]) -> None:
        """Draw the overlay."""
        save_overlay(slide, marks, self.path / OVERLAY_NAME)

    def _write_roi(self, slide: Slide, settings: Settings) -> None:
        """Keep the region of interest, so that counting stays inside of it."""
        if settings.roi is not None:
            roi = read_roi(settings.roi, slide)
            self._write_mask(slide, roi, ROI_NAME, "Region of interest")

    def _write_mask(self, slide: Slide, mask: TissueMask, name: str, title: str) -> None:
        content = mask.to_geojson(title, offset_px=bounds_offset(slide.properties))
        write_json(self.path / name, content)
