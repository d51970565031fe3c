"""From what a user names (files, folders, lists, cases) to the images to look at."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from metaphase.errors import InputError, Problem, SlideError
from metaphase.labels.dataset import Case
from metaphase.slides.open import SUFFIXES, open_case, open_slide
from metaphase.slides.slide import Slide

LIST_SUFFIX = ".txt"


@dataclass(frozen=True)
class Job:
    """One image to look at, and the name of the folder for its results.

    ``case`` is the data set's case that it belongs to, if any; else ``mpp``, ``scanner`` and
    ``force_mpp`` are what the user says of its resolution.
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
) -> list[Job]:
    """Return a job for each image that the paths name, each image once, in their order.

    A path is an image, a folder (the images directly in it, by name) or a ``.txt`` list (a path a
    line, relative to the list; a line that begins with ``#`` is a comment). An image that does not
    exist is a job that will fail; a folder without images, or a list that cannot be read, raises
    InputError.
    """
    images: dict[Path, Path] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            for image in _images(Path(path)):
                images.setdefault(image.resolve(), image)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    found = list(images.values())
    return [
        Job(image, name, mpp, scanner, force_mpp)
        for image, name in zip(found, unique_names(found), strict=True)
    ]


def jobs_for_cases(
    cases: Iterable[Case], *, mpp: float | None = None, force_mpp: bool = False
) -> list[Job]:
    """Return a job for each case, its folder named by its id."""
    return [
        Job(
            case.image or Path(case.id),
            "/".join(part for part in Path(case.id).parts if part not in ("..", "/", "\\")),
            mpp=mpp,
            scanner=case.scanner,
            force_mpp=force_mpp,
            case=case,
        )
        for case in cases
    ]


def unique_names(images: Sequence[Path]) -> list[str]:
    """Return a folder name for each of different images: its stem, or more where stems collide.

    Then it is the whole file name (``a.svs`` and ``a.tif``), then that with the folder before it,
    then with a hash of the path. A name does not depend on the order of the images; names that
    differ in case alone count as equal, since some file systems think so.
    """
    longer: list[Callable[[Path], str]] = [
        lambda path: path.name,
        lambda path: f"{path.resolve().parent.name}_{path.name}",
        lambda path: f"{path.stem}_{hashlib.sha256(bytes(path.resolve())).hexdigest()[:8]}",
    ]
    names = [image.stem for image in images]
    for rename in longer:
        times = Counter(name.casefold() for name in names)
        names = [
            rename(image) if times[name.casefold()] > 1 else name
            for name, image in zip(names, images, strict=True)
        ]
    return names


def _images(path: Path) -> list[Path]:
    if path.is_dir():
        images = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
        if not images:
            raise SlideError.of(path, "has no images", way_out="name a folder with images in it")
        return images
    if path.suffix.lower() == LIST_SUFFIX:
        return _listed(path)
    return [path]


def _listed(path: Path) -> list[Path]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SlideError.of(path, f"cannot be read: {error}") from error
    entries = [line.strip() for line in lines]
    images = [path.parent / entry for entry in entries if entry and not entry.startswith("#")]
    if not images:
        raise SlideError.of(path, "lists no images", way_out="one path a line")
    return images
