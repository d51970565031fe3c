"""Which file holds the pixels of a case."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from pathlib import Path

from metaphase.errors import LabelError
from metaphase.imagefiles.find import images_in
from metaphase.labels.casenames import case_id

USUAL_FOLDERS = ("", "images", "img")

_SERIES = re.compile(r" - Series \d+$", re.IGNORECASE)


def check_image_folder(folder: Path) -> None:
    """Raise LabelError where a folder of images is none."""
    if not folder.is_dir():
        raise LabelError.of(
            folder, "is not a folder of images", way_out="name the folder with --images"
        )


class ImageFinder:
    """Finds image files by the names that labels give them.

    ``folder`` None searches beside the labels and in ``images/`` there. A name that is not there as
    it is written is found by its stem (``001.tiff`` for a converted ``001.svs``), then without the
    name of an image series that QuPath adds ("001.svs - Series 0"), then in other upper and lower
    case, if exactly one file matches. The folder that the name gives is searched before the others.
    """

    def __init__(self, folder: Path | None, beside: Path) -> None:
        if folder is not None:
            check_image_folder(folder)
        self.folder = folder
        self.folders = [folder] if folder else [beside / name for name in USUAL_FOLDERS]
        self._by_stem: dict[Path, dict[str, list[Path]]] = {}

    def find(self, name: Path) -> Path | None:
        """Return the image's path, or None.

        In a folder that the user named, an absent file gets the path where it should be, so that
        opening it reports what is missing.
        """
        for folder in self.folders:
            for candidate in (folder / name, folder / name.name):
                if _is_file(candidate):
                    # "x/../y" is the same file as "y"; links are left as they are.
                    return Path(os.path.normpath(candidate)) if ".." in name.parts else candidate
        inside = not name.is_absolute() and ".." not in name.parts
        for place in dict.fromkeys((name.parent if inside else Path(), Path())):
            for stem in _stems_of(name.name):
                same = self._stems(place).get(stem, [])
                if len(same) == 1:
                    return same[0]
        return self.folder / name if self.folder else None

    def close_names(self, name: Path, most: int = 2) -> list[str]:
        """Return names of images that are like a name that is not found."""
        names = {path.name for paths in self._stems(Path()).values() for path in paths}
        stems = {case_id(other): other for other in sorted(names)}
        wanted = case_id(name.name)
        zeros = [other for stem, other in stems.items() if stem.lstrip("0") == wanted.lstrip("0")]
        close = [stems[stem] for stem in get_close_matches(wanted, stems, most, cutoff=0.75)]
        return list(dict.fromkeys([*zeros, *close]))[:most]

    def _stems(self, place: Path) -> dict[str, list[Path]]:
        """Return the images at a place in the folders by stem, and by stem in lower case."""
        if place not in self._by_stem:
            by_stem: dict[str, list[Path]] = {}
            folders = [folder / place for folder in self.folders]
            for path in [p for f in folders if _is_folder(f) for p in images_in(f)]:
                stem = case_id(path.name)
                for key in dict.fromkeys((stem, _lower(stem))):
                    by_stem.setdefault(key, []).append(path)
            self._by_stem[place] = by_stem
        return self._by_stem[place]


def _stems_of(name: str) -> list[str]:
    stem = case_id(name)
    without_series = case_id(_SERIES.sub("", name))
    return list(dict.fromkeys((stem, without_series, _lower(stem), _lower(without_series))))


def _lower(stem: str) -> str:
    """Return the key of a stem in any case, which no stem equals."""
    return f"/{stem.casefold()}"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no folder can have
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False
