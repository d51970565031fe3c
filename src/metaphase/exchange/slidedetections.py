"""The detections of many slides, from any mix of folders and files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from metaphase.counting.batch import CountedSlide, SlideDetections
from metaphase.counting.tables import density_csv
from metaphase.detectionfile import JSON_NAME, load_detections
from metaphase.errors import DetectionsError
from metaphase.exchange.qupath import write_hotspots
from metaphase.exchange.read import read_detections
from metaphase.figures import Detections
from metaphase.files import real_path, write_json, write_text
from metaphase.labels.dataset import Dataset
from metaphase.qupath.bounds import recorded_offset


@dataclass(frozen=True, slots=True)
class _Found:
    """The detections of a slide, and its possible names, the shortest first."""

    names: tuple[str, ...]
    load: Callable[[], Detections]
    folder: Path | None = None


def slides_in(
    paths: Iterable[Path], *, mpp: float | None = None, labels: Dataset | None = None
) -> list[SlideDetections]:
    """Return the detections of each slide in some folders and files, each with its own name.

    A slide is called as its folder, or with the folders above it where several have one name. A
    folder that is named twice counts once. Folders of ``metaphase detect`` are read when a slide is
    loaded, files of other tools at once; ``mpp`` and ``labels`` give their resolution if the files
    do not. Raises DetectionsError.
    """
    found: list[_Found] = []
    seen: set[Path] = set()
    for path in paths:
        folders = sorted(p.parent for p in path.rglob(JSON_NAME)) if path.is_dir() else []
        root = real_path(path).name
        for folder in folders:
            if real_path(folder) not in seen:
                seen.add(real_path(folder))
                found.append(_in_folder(path, folder))
        if not folders:
            for name, detections in read_detections(path, mpp=mpp, dataset=labels).items():
                names = (name, f"{Path(root).stem}/{name}")
                found.append(_Found(names, partial(_loaded, detections)))
    slides = [
        SlideDetections(name, one.load, one.folder)
        for name, one in zip(_unique_names(found), found, strict=True)
    ]
    return slides


def _in_folder(root: Path, folder: Path) -> _Found:
    name, inside = real_path(folder).name, folder.relative_to(root).as_posix()
    names = (name,) if inside == "." else (name, inside, f"{real_path(root).name}/{inside}")
    return _Found(names, partial(load_detections, folder), folder)


def _unique_names(found: Sequence[_Found]) -> list[str]:
    """Return the shortest name of each slide that no other has. Raises DetectionsError."""
    names = [one.names[0] for one in found]
    for depth in (1, 2):
        times = Counter(names)
        names = [
            one.names[min(depth, len(one.names) - 1)] if times[name] > 1 else name
            for name, one in zip(names, found, strict=True)
        ]
    again = next((name for name, n in Counter(names).items() if n > 1), None)
    if again is not None:
        raise DetectionsError.of(
            again, "several slides have this name", way_out="count them in separate calls"
        )
    return names


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
