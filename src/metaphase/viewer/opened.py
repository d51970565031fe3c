"""What is opened: slides found in files and folders, with their detections and labels.

Nothing outside of these can be asked for: the page names a slide by a number-like ``slug`` that is
looked up here, never by a path.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metaphase.detection.many import OVERLAY_NAME
from metaphase.detectionfile import JSON_NAME, load_detections
from metaphase.errors import DetectionsError, SlideError
from metaphase.figures import Detections, Provenance
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.reading import case_id
from metaphase.slides.open import SUFFIXES, open_slide
from metaphase.slides.slide import Slide
from metaphase.viewer.columns import Columns

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class Opened:
    """One slide: its file, its key in the review store, its figures and what made them.

    ``folder`` is where its detections lie, with the masks of tissue and region of interest.
    """

    slug: str
    key: str
    path: Path
    columns: Columns
    threshold: float = DEFAULT_THRESHOLD
    model: str = ""
    case: Case | None = None
    mpp: float | None = None
    made: Provenance | None = None
    folder: Path | None = None

    def open(self) -> Slide:
        """Open the pixels. Raises SlideError."""
        known = self.case.mpp if self.case else None
        scanner = self.case.scanner if self.case else None
        return open_slide(self.path, mpp=self.mpp, scanner=scanner, known_mpp=known)


@dataclass(frozen=True, eq=False, slots=True)
class Found:
    """The detections of one image, and the folder that they were read from."""

    detections: Detections
    folder: Path | None = None


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """Return the images in files and folders (searched to the bottom), each once, in order.

    In folders, links that lead outside of the folder are not followed.
    Raises SlideError where a path is missing or nothing is found.
    """
    found: dict[Path, None] = {}
    given = [Path(path) for path in paths]
    for path in given:
        if path.is_dir():
            found.update(dict.fromkeys(_images_in(path)))
        elif path.is_file():
            found[path.resolve()] = None
        else:
            raise SlideError.of(path, "is not there", way_out="name an image or a folder of images")
    if not found:
        links = sum(len(list(_images_in(path, links=True))) for path in given if path.is_dir())
        raise SlideError.of(
            ", ".join(map(str, given)),
            f"holds no image but {links} links that lead out of it" if links else "holds no image",
            way_out="name the images themselves: what lies outside of a folder is not opened"
            if links
            else f"images end in {', '.join(sorted(SUFFIXES))}",
        )
    return list(found)


def open_slides(
    images: Sequence[Path],
    *,
    detections: str | Path | Mapping[str, Detections | Found] | None = None,
    labels: Dataset | None = None,
    mpp: float | None = None,
) -> list[Opened]:
    """Return the slides of image files with their detections and labels.

    ``detections`` is a folder that ``metaphase detect`` wrote, or detections by case id. A case is
    found by the image's name without suffix. Raises DetectionsError if the folder holds none.
    """
    found = load_found(detections)
    return [
        _opened(path, key, found.get(case_id(path.name)), _case(labels, path), mpp)
        for path, key in zip(images, _keys(images), strict=True)
    ]


def _opened(
    path: Path, key: str, found: Found | None, case: Case | None, mpp: float | None
) -> Opened:
    columns = Columns.of_figures(case.figures if case else ())
    slug = _slug(path, key)
    if found is None:
        return Opened(slug, key, path, columns, case=case, mpp=mpp)
    made = found.detections.provenance
    columns = Columns.of_detections(found.detections) + columns
    mpp = mpp or made.mpp or None
    return Opened(
        slug, key, path, columns, made.threshold, made.model, case, mpp, made, found.folder
    )


def _slug(path: Path, key: str) -> str:
    """Return a name for addresses that changes with the file, so that old tiles are never shown."""
    state = path.stat()
    text = f"{key}|{state.st_size}|{state.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _keys(images: Sequence[Path]) -> list[str]:
    """Return the case ids, with as many folders before them as it takes to tell them apart."""
    depth = [1] * len(images)
    while True:
        keys = [
            "/".join([*path.parts[-n:-1], case_id(path.name)])
            for path, n in zip(images, depth, strict=True)
        ]
        times = Counter(keys)
        again = [
            i for i, key in enumerate(keys) if times[key] > 1 and depth[i] < len(images[i].parts)
        ]
        if not again:
            break
        for i in again:
            depth[i] += 1
    # Two formats of one picture in one folder: only the suffix tells them apart.
    return [f"{k}{p.suffix}" if times[k] > 1 else k for k, p in zip(keys, images, strict=True)]


def _case(labels: Dataset | None, path: Path) -> Case | None:
    if labels is None:
        return None
    id_ = case_id(path.name)
    if id_ in labels:
        return labels[id_]
    named = (case for case in labels if case.image is not None and case.image.name == path.name)
    return next(named, None)


def load_found(
    given: str | Path | Mapping[str, Detections | Found] | None,
) -> Mapping[str, Found]:
    """Return detections by case id, read from a folder if it is one. Raises DetectionsError."""
    if given is None or isinstance(given, Mapping):
        return {
            key: one if isinstance(one, Found) else Found(one) for key, one in (given or {}).items()
        }
    found = dict(_found_in(Path(given)))
    if not found:
        raise DetectionsError.of(
            given, "holds no detections", way_out="name a folder that 'metaphase detect' wrote"
        )
    return found


def found_beside(paths: Iterable[str | Path]) -> Mapping[str, Found]:
    """Return the detections that lie in opened folders, by case id; none is no error."""
    return dict(pair for path in paths if Path(path).is_dir() for pair in _found_in(Path(path)))


def _found_in(given: Path) -> Iterator[tuple[str, Found]]:
    for folder in sorted(path.parent for path in given.rglob(JSON_NAME)):
        one = load_detections(folder)
        yield case_id(one.provenance.image or folder.name), Found(one, folder)


def _images_in(folder: Path, *, links: bool = False) -> Iterator[Path]:
    """Yield the images in a folder; or, ``links``, what is called so and lies elsewhere."""
    root = folder.resolve()
    for parent, names, files in os.walk(root, followlinks=False):
        names.sort()
        for name in sorted(files):
            if Path(name).suffix.lower() not in SUFFIXES or name.startswith("."):
                continue
            if name == OVERLAY_NAME and JSON_NAME in files:
                continue  # a picture of detections is no slide
            path = Path(parent, name).resolve()
            if path.is_file() and path.is_relative_to(root) is not links:
                yield path
