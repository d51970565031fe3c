"""The detections of many slides, from any mix of folders and files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from metaphase.counting.batch import CountedSlide, SlideDetections
from metaphase.counting.tables import density_csv
from metaphase.detectionfile import JSON_NAME, load_detections
from metaphase.exchange.qupath import write_hotspots
from metaphase.exchange.read import read_detections
from metaphase.figures import Detections
from metaphase.files import write_json, write_text
from metaphase.labels.dataset import Dataset
from metaphase.qupath.bounds import recorded_offset


def slides_in(
    paths: Iterable[Path], *, mpp: float | None = None, labels: Dataset | None = None
) -> Iterator[SlideDetections]:
    """Yield the detections of each slide in some folders and files.

    Folders of ``metaphase detect`` are read when a slide is loaded, files of other tools at once;
    ``mpp`` and ``labels`` give their resolution if the files do not. Raises DetectionsError.
    """
    for path in paths:
        folders = sorted(p.parent for p in path.rglob(JSON_NAME)) if path.is_dir() else []
        if folders:
            for folder in folders:
                yield SlideDetections(
                    folder.resolve().name, partial(load_detections, folder), folder
                )
            continue
        for name, detections in read_detections(path, mpp=mpp, dataset=labels).items():
            yield SlideDetections(name, partial(_loaded, detections))


def write_count(
    slide: CountedSlide, detections: Detections, folder: Path, *, density: bool = False
) -> None:
    """Write ``count.json``, ``hotspots.geojson`` (for QuPath) and ``density.csv`` on request."""
    offset_px = recorded_offset(detections.provenance)
    write_hotspots(slide.result, folder / "hotspots.geojson", offset_px=offset_px)
    if density:
        write_text(folder / "density.csv", density_csv(detections))
    write_json(folder / "count.json", slide.result.to_dict())


def _loaded(detections: Detections) -> Detections:
    return detections
