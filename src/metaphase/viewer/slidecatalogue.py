"""The catalogue of slides under review: image files with their detections and labels.

The page names a slide by a ``slug`` that is looked up here, never by a path, so that no other file
can be requested.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metaphase.detection.inputs import LIST_SUFFIX, jobs_for_paths
from metaphase.detection.resultfolder import OVERLAY_NAME
from metaphase.detectionfile import JSON_NAME, load_detections
from metaphase.errors import DetectionsError, SlideError
from metaphase.figures import Detections
from metaphase.files import real_path
from metaphase.imagefiles.find import SUFFIXES, is_image_file, separate_slides
from metaphase.imagefiles.parts import sha256_of_slide
from metaphase.labels.casenames import case_id
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Provenance
from metaphase.slides.open import open_slide
from metaphase.slides.slide import Slide
from metaphase.viewer.columns import Columns
from metaphase.viewer.reference import Reference

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class CatalogueEntry:
    """One slide: file, key in the review store, figures and provenance of the detections.

    ``folder`` holds the detections and the masks of tissue and region of interest. ``mpp`` is the
    resolution in um/px that was given by the user or the detections. ``second`` is the second model
    whose detections are in ``columns`` too; ``not_compared`` says why there are none.
    """

    slug: str
    key: str
    path: Path
    columns: Columns
    threshold: float = DEFAULT_THRESHOLD
    model: str = ""
    case: Case | None = None
    mpp: float | None = None
    provenance: Provenance | None = None
    folder: Path | None = None
    second: Reference | None = None
    not_compared: str = ""

    @property
    def file_name(self) -> str:
        """The name of the image file; bytes that are no UTF-8 are escaped."""
        return readable(self.path.name)

    def open(self) -> Slide:
        """Open the pixels. Raises SlideError."""
        known = self.case.mpp if self.case else None
        scanner = self.case.scanner if self.case else None
        return open_slide(self.path, mpp=self.mpp, scanner=scanner, known_mpp=known)


@dataclass(frozen=True, eq=False, slots=True)
class SlideDetections:
    """The detections of one image and the folder from which they were read."""

    detections: Detections
    folder: Path | None = None


def find_images(paths: Iterable[str | Path]) -> list[Path]:
    """Return the image files of the paths in order, each once.

    A path is an image, a folder, which is searched recursively, or a ``.txt`` list of images. Links
    in a folder that point outside of it are not followed. Raises SlideError where a path does not
    exist or there is no image.
    """
    images: dict[Path, None] = {}
    given = [Path(path) for path in paths]
    for path in given:
        if os.path.isdir(path):
            images.update(dict.fromkeys(_images_in(path)))
        elif path.suffix.lower() == LIST_SUFFIX:
            images.update(dict.fromkeys(_images_in_list(path)))
        elif os.path.isfile(path):
            images[real_path(path)] = None
        else:
            raise SlideError.of(
                path, "does not exist", way_out="name an image or a folder of images"
            )
    if not images:
        links = sum(len(list(_images_in(path, links=True))) for path in given if path.is_dir())
        raise SlideError.of(
            ", ".join(map(str, given)),
            f"holds no image but {links} links that lead out of it" if links else "holds no image",
            way_out="name the images themselves: files outside of the folder are not opened"
            if links
            else f"images end in {', '.join(sorted(SUFFIXES))}",
        )
    return separate_slides(images)


def open_slides(
    images: Sequence[Path],
    *,
    detections: str | Path | Mapping[str, Detections | SlideDetections] | None = None,
    labels: Dataset | None = None,
    mpp: float | None = None,
) -> list[CatalogueEntry]:
    """Return the slides of image files with their detections and labels.

    ``detections`` is a folder that ``metaphase detect`` wrote, or detections by case id. A case is
    found by its image, or by the image's name without suffix; see ``matched_detections``. Raises
    DetectionsError if the folder holds none.
    """
    keys = slide_keys(images)
    own = matched_detections(images, load_slide_detections(detections))
    cases = _Cases(labels or Dataset(()), images)
    return [
        catalogue_entry(path, key, own.get(key), cases.of(path, key), mpp)
        for path, key in zip(images, keys, strict=True)
    ]


def matched_detections(
    images: Sequence[Path], loaded: Mapping[str, SlideDetections]
) -> dict[str, SlideDetections]:
    """Return the detections that belong to images, by the key of their slide.

    They are known by the key, or by the image's name. Where several images or several detections
    have one name, the hash of the image decides: the detections of another slide are never taken.
    """
    by_name: dict[str, list[SlideDetections]] = {}
    for name, one in loaded.items():
        for id_ in {name, case_id(one.detections.provenance.image)}:
            by_name.setdefault(id_, []).append(one)
    times = Counter(case_id(path.name) for path in images)
    found = {}
    for path, key in zip(images, slide_keys(images), strict=True):
        id_ = case_id(path.name)
        candidates = by_name.get(id_, [])
        chosen = loaded.get(key) if key != id_ else None
        if chosen is None and len(candidates) == 1 == times[id_]:
            chosen = candidates[0]
        elif chosen is None and candidates:
            chosen = _by_hash(candidates, path)
        if chosen is not None:
            found[key] = chosen
    return found


def _by_hash(candidates: Sequence[SlideDetections], path: Path) -> SlideDetections | None:
    digest = sha256_of_slide(path)
    same = (one for one in candidates if one.detections.provenance.image_sha256 == digest)
    return next(same, None)


def catalogue_entry(
    path: Path,
    key: str,
    loaded: SlideDetections | None = None,
    case: Case | None = None,
    mpp: float | None = None,
) -> CatalogueEntry:
    """Return the entry of an image. ``key`` identifies it in the review store."""
    columns = Columns.of_figures(case.figures if case else ())
    slug = _slug(path, key)
    if loaded is None:
        return CatalogueEntry(slug, key, path, columns, case=case, mpp=mpp)
    provenance = loaded.detections.provenance
    columns = Columns.of_detections(loaded.detections) + columns
    mpp = mpp or provenance.mpp or None
    return CatalogueEntry(
        slug,
        key,
        path,
        columns,
        provenance.threshold,
        provenance.model,
        case,
        mpp,
        provenance,
        loaded.folder,
    )


def _slug(path: Path, key: str) -> str:
    """Return a name for addresses that changes with the file, so that no outdated tile is shown."""
    state = path.stat()
    text = f"{key}|{state.st_size}|{state.st_mtime_ns}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def slide_keys(images: Sequence[Path]) -> list[str]:
    """Return the case ids, preceded by as many folder names as make them unique."""
    depth = [1] * len(images)
    while True:
        keys = [
            readable("/".join([*path.parts[-n:-1], case_id(path.name)]))
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
    # Two formats of one image in one folder differ by their suffix only.
    return [f"{k}{p.suffix}" if times[k] > 1 else k for k, p in zip(keys, images, strict=True)]


def readable(name: str) -> str:
    """Return a file name as text that any file or database can hold; other bytes are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


class _Cases:
    """Finds the case of an image in a data set."""

    def __init__(self, labels: Dataset, images: Sequence[Path]) -> None:
        self._labels = labels
        self._times = Counter(case_id(path.name) for path in images)
        self._by_image: dict[Path, Case] = {}
        self._by_name: dict[str, list[Case]] = {}
        for case in labels:
            if case.image is not None:
                self._by_image[real_path(case.image)] = case
                self._by_name.setdefault(case.image.name, []).append(case)

    def of(self, path: Path, key: str) -> Case | None:
        """Return the case of an image; None where its name could mean several."""
        case = self._by_image.get(real_path(path))
        if case is not None:
            return case
        if key in self._labels:
            return self._labels[key]
        id_ = case_id(path.name)
        if self._times[id_] > 1:
            return None
        if id_ in self._labels:
            return self._labels[id_]
        named = self._by_name.get(path.name, [])
        return named[0] if len(named) == 1 else None


def load_slide_detections(
    given: str | Path | Mapping[str, Detections | SlideDetections] | None,
    *,
    without: Path | None = None,
) -> Mapping[str, SlideDetections]:
    """Return detections by case id; a path is read as a folder. Raises DetectionsError.

    A folder ``without`` inside of it is left out.
    """
    if given is None or isinstance(given, Mapping):
        return {
            key: one if isinstance(one, SlideDetections) else SlideDetections(one)
            for key, one in (given or {}).items()
        }
    loaded = _read_folders([Path(given)], without)
    if not loaded:
        raise DetectionsError.of(
            given, "holds no detections", way_out="name a folder that 'metaphase detect' wrote"
        )
    return loaded


def detections_in_folders(
    paths: Iterable[str | Path], *, without: Path | None = None
) -> Mapping[str, SlideDetections]:
    """Return the detections found in the folders among the paths, by case id; may be empty.

    A folder ``without`` inside of one of them is left out.
    """
    return _read_folders([Path(path) for path in paths if Path(path).is_dir()], without)


def _read_folders(
    folders: Sequence[Path], without: Path | None = None
) -> dict[str, SlideDetections]:
    """Return the detections by case id, or by their folder where an id is taken."""
    loaded: dict[str, SlideDetections] = {}
    places = dict.fromkeys(p.parent for folder in folders for p in sorted(folder.rglob(JSON_NAME)))
    inside = without is not None and without.resolve() not in {f.resolve() for f in folders}
    for place in places:
        if inside and without and place.resolve().is_relative_to(without.resolve()):
            continue
        one = load_detections(place)
        id_ = case_id(one.provenance.image or place.name)
        loaded[str(place) if id_ in loaded else id_] = SlideDetections(one, place)
    return loaded


def _images_in_list(path: Path) -> Iterator[Path]:
    for job in jobs_for_paths([path]):
        if not os.path.isfile(job.image):
            raise SlideError.of(path, f"names {job.image}, which does not exist")
        yield real_path(job.image)


def _images_in(folder: Path, *, links: bool = False) -> Iterator[Path]:
    """Yield the images in a folder; with ``links`` those whose link target lies outside of it."""
    root = real_path(folder)
    for parent, names, files in os.walk(root, followlinks=False):
        names.sort()
        for name in sorted(files):
            if not is_image_file(Path(parent, name)):
                continue
            if name == OVERLAY_NAME and JSON_NAME in files:
                continue  # a drawing of detections, not a slide
            path = real_path(Path(parent, name))
            if path.is_file() and path.is_relative_to(root) is not links:
                yield path
