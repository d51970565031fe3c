"""From what a user names (images, folders, lists, cases) to the images to analyse."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from metaphase.errors import InputError, Problem, SlideError
from metaphase.files import real_path
from metaphase.imagefiles.find import SUFFIXES, images_in, separate_slides
from metaphase.labels.dataset import Case
from metaphase.slides.address import local_name, url_of
from metaphase.slides.open import open_case, open_slide
from metaphase.slides.remotesource import images_under
from metaphase.slides.slide import Slide
from metaphase.textfile import FILE_NAMES, read_text

T = TypeVar("T")

LIST_SUFFIX = ".txt"

_LONGEST_NAME = 255  # bytes that file systems take

RESERVED = frozenset(
    {
        *("failures.csv", "summary.csv", "counts.csv", "counts.json", "detections.csv"),
        *("detections.json", "detections.geojson", "overlay.png", "tissue.geojson"),
        *("roi.geojson", "hotspots.geojson", "density.csv", "count.json"),
    }
)
"""Names of files that are written to result folders, so no result folder has one of them."""


@dataclass(frozen=True)
class Job:
    """One image to analyse, and the name of the folder for its results.

    ``case`` is its case in a data set, if any. Otherwise ``mpp``, ``scanner`` and ``force_mpp`` are
    what the user states of its resolution.
    """

    image: Path
    name: str
    mpp: float | None = None
    scanner: str | None = None
    force_mpp: bool = False
    case: Case | None = None

    def open(self) -> Slide:
        """Open the image."""
        if self.case is not None:
            return open_case(self.case, mpp=self.mpp, force_mpp=self.force_mpp)
        return open_slide(self.image, mpp=self.mpp, scanner=self.scanner, force_mpp=self.force_mpp)


def jobs_for_paths(
    paths: Iterable[str | Path],
    *,
    mpp: float | None = None,
    scanner: str | None = None,
    force_mpp: bool = False,
    out: str | Path | None = None,
) -> list[Job]:
    """Return a job for each image that the paths name, each image once, in their order.

    A path is an image, a folder (the images directly in it, by name) or a ``.txt`` list (one path
    per line, relative to the list; lines that begin with ``#`` are comments). An image may be an
    ``https://``, ``s3://`` or ``gs://`` address, a folder one of the last two. An image that does
    not exist is a job that will fail. A slide in several files is one job (``separate_slides``). A
    folder without images, or a list that cannot be read, raises InputError. ``out`` is the folder
    of the results: a name that is taken there by a file is avoided.
    """
    images: dict[Path, Path] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            for image in _images(Path(path)):
                images.setdefault(real_path(image), image)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    found = separate_slides(images.values())
    return [
        Job(image, name, mpp, scanner, force_mpp)
        for image, name in zip(found, unique_names(found, out), strict=True)
    ]


def jobs_for_cases(
    cases: Iterable[Case],
    *,
    mpp: float | None = None,
    force_mpp: bool = False,
    out: str | Path | None = None,
) -> list[Job]:
    """Return a job for each case, its folder named by its id."""
    cases = list(cases)
    rules: list[Callable[[str], str]] = [
        lambda id: "/".join(part for part in id.split("/") if part not in ("", ".", "..")),
        lambda id: f"{_plain(id)}_{_digest(id.encode('utf-8', 'surrogatepass'))}",
    ]
    names = _unique([case.id for case in cases], rules, out)
    return [
        Job(
            case.image or Path(case.id),
            name,
            mpp=mpp,
            scanner=case.scanner,
            force_mpp=force_mpp,
            case=case,
        )
        for case, name in zip(cases, names, strict=True)
    ]


def unique_names(images: Sequence[Path], out: str | Path | None = None) -> list[str]:
    """Return a folder name for each of different images.

    It is the first of these that is a safe name and that no other image has: the stem, the file
    name (``a.svs`` and ``a.tif``), the file name with the folder before it, the stem with a hash of
    the path. Names do not depend on the order of the images. Names that differ in case or in the
    form of accents (Unicode normalisation) alone count as equal, as they do on some file systems. A
    name is safe if its folder lies in ``out``, is not hidden, and is no file there.
    """
    rules: list[Callable[[Path], str]] = [
        lambda path: local_name(path).stem,
        lambda path: local_name(path).name,
        lambda path: f"{real_path(local_name(path)).parent.name}_{local_name(path).name}",
        lambda path: f"{_plain(local_name(path).stem)}_{_digest(os.fsencode(real_path(path)))}",
    ]
    return _unique(list(images), rules, out)


def _unique(items: list[T], rules: list[Callable[[T], str]], out: str | Path | None) -> list[str]:
    """Return for each item the name by the first rule that is safe and unique."""
    names = [rules[0](item) for item in items]
    for rule in rules[1:]:
        times = Counter(map(_key, names))
        names = [
            rule(item) if times[_key(name)] > 1 or not _is_safe(name, out) else name
            for name, item in zip(names, items, strict=True)
        ]
    return names


def _key(name: str) -> str:
    """Return what is equal for names that are one folder on some file systems."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_safe(name: str, out: str | Path | None) -> bool:
    """Return whether a folder of this name can hold results."""
    parts = name.split("/")
    if any(not part.strip(". ") or part.startswith(".") for part in parts):
        return False
    if any(part.casefold() in RESERVED or not part.isprintable() for part in parts):
        return False
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in parts):
        return False
    if out is None:
        return True
    folders = [Path(out, *parts[: i + 1]) for i in range(len(parts))]
    return not any(folder.exists() and not folder.is_dir() for folder in folders)


def _printable(text: str) -> str:
    """Return the text without characters that file systems, CSV or terminals cannot hold."""
    kept = (c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in text)
    return "".join(kept)


def _plain(text: str) -> str:
    return _printable(text).strip(". ")[:80] or "image"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:8]


def _images(path: Path) -> list[Path]:
    url = url_of(path)
    if url is not None:
        return _remote_images(path, url)
    if os.path.isdir(path):  # unlike Path.is_dir, also for names that are too long
        try:
            images = images_in(path)
        except OSError as error:
            raise SlideError.of(path, f"cannot be read: {error.strerror}") from error
        if not images:
            raise SlideError.of(path, "has no images", way_out="name a folder with images in it")
        return images
    if path.suffix.lower() == LIST_SUFFIX:
        return _listed(path)
    return [path]


def _remote_images(path: Path, url: str) -> list[Path]:
    images = images_under(url, SUFFIXES)
    if images is not None and not images:
        raise SlideError.of(url, "has no images", way_out="name a folder with images in it")
    return [path] if images is None else [Path(image) for image in images]


def _listed(path: Path) -> list[Path]:
    text = read_text(path, SlideError, fallback=FILE_NAMES)
    lines = [_unquoted(line.strip()) for line in text.splitlines()]
    images = [_listed_path(path.parent, line) for line in lines if line and line[0] != "#"]
    if not images:
        raise SlideError.of(path, "lists no images", way_out="one path per line")
    return images


def _unquoted(line: str) -> str:
    """Return a line without the quotes that Windows puts around paths with spaces."""
    return line[1:-1].strip() if len(line) > 1 and line[0] == line[-1] in "\"'" else line


def _listed_path(folder: Path, entry: str) -> Path:
    """Return a path of a list, with backslashes taken for slashes where only that exists."""
    if url_of(entry) is not None:
        return Path(entry)
    path = folder / entry
    other = folder / entry.replace("\\", "/")
    return other if not os.path.exists(path) and os.path.exists(other) else path
