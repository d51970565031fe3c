"""Which file holds the pixels of a case."""

from __future__ import annotations

import os
from pathlib import Path

from metaphase.errors import LabelError
from metaphase.labels.reading import IMAGE_SUFFIXES, case_id

USUAL_FOLDERS = ("", "images", "img")


class ImageFinder:
    """Finds image files by the names that labels give them.

    ``folder`` None looks beside the labels and in ``images/`` there. A name with another suffix is
    found too (``001.tiff`` for a converted ``001.svs``) if only one file has that stem.
    """

    def __init__(self, folder: Path | None, beside: Path) -> None:
        if folder is not None and not folder.is_dir():
            raise LabelError.of(
                folder, "is not a folder of images", way_out="name the folder with --images"
            )
        self.given = folder
        self.folders = [folder] if folder else [beside / name for name in USUAL_FOLDERS]
        self._by_stem: dict[str, list[Path]] | None = None

    def find(self, name: Path) -> Path | None:
        """Return the image's path, or None. In a folder that the user named, absent files get the
        path where they should be, so that opening them says what is missing.
        """
        for folder in self.folders:
            for candidate in (folder / name, folder / name.name):
                if candidate.is_file():
                    # "x/../y" is the same file as "y"; links are left as they are.
                    return Path(os.path.normpath(candidate)) if ".." in name.parts else candidate
        same = self._stems().get(case_id(name.name), [])
        if len(same) == 1:
            return same[0]
        return self.given / name if self.given else None

    def _stems(self) -> dict[str, list[Path]]:
        if self._by_stem is None:
            self._by_stem = {}
            for path in images_in(self.folders):
                self._by_stem.setdefault(case_id(path.name), []).append(path)
        return self._by_stem


def images_in(folders: list[Path]) -> list[Path]:
    """Return the image files of folders (not of those inside them), by name."""
    return sorted(
        path
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if path.suffix[1:].lower() in IMAGE_SUFFIXES and path.is_file()
    )
