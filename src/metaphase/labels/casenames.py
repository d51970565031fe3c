"""From the name of an image file to the id of its case.

Names are compared in Unicode's composed form (NFC), because macOS writes file names decomposed.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path, PurePosixPath

from metaphase.values import name_of_file

IMAGE_SUFFIXES = frozenset(
    (
        *("tif", "tiff", "svs", "ndpi", "scn", "mrxs", "vms", "vmu", "svslide", "bif", "czi"),
        *("dcm", "dicom", "png", "jpg", "jpeg", "bmp", "webp", "jp2"),
    )
)

_GENERIC_NAMES = {"detections", "figures", "annotations", "labels", "mitotic-figures", "output"}


def case_id(file_name: str) -> str:
    """Return the id of the case in an image file: its name without folder and suffix.

    ``images/001.tiff`` is case ``001``.
    """
    return without_suffix(image_path(file_name).name)


def case_ids(file_names: Iterable[str]) -> dict[str, str]:
    """Return the ids of the cases in different image files, by file name.

    Where files in several folders have one name, their ids begin with the folder:
    ``patient1/01.png`` and ``patient2/01.png`` are ``patient1/01`` and ``patient2/01``.
    """
    names = list(dict.fromkeys(file_names))
    parts = {name: _parts(name) for name in names}
    ids = {name: case_id(name) for name in names}
    for depth in range(2, max(map(len, parts.values()), default=0) + 1):
        times = Counter(ids.values())
        for name in names:
            if times[ids[name]] > 1:
                ids[name] = without_suffix("/".join(parts[name][-depth:]))
    return ids


def image_path(file_name: str) -> Path:
    """Return an image's path as a file of labels writes it, with either kind of slash."""
    return Path(name_of_file(file_name).replace("\\", "/"))


def image_name(path: Path) -> str:
    """Return the image that a file with the figures of one image belongs to.

    That is the file's own name, or its folder's where the file has a generic name such as
    ``detections.geojson``.
    """
    stem = _stem(path)
    return path.parent.name if stem in _GENERIC_NAMES and path.parent.name else stem


def image_place(path: Path, root: Path) -> str:
    """Return ``image_name`` with the folders between ``root``, a folder above it, and the file.

    ``root/patient1/01.geojson`` is about the image ``patient1/01``.
    """
    folder = path.parent.parent if image_name(path) != _stem(path) else path.parent
    inside = folder.relative_to(root) if folder.is_relative_to(root) else Path()
    return (inside / image_name(path)).as_posix()


def _stem(path: Path) -> str:
    return path.stem if path.suffix.lower() != ".gz" else Path(path.stem).stem


@lru_cache(maxsize=1024)  # a table names its case in every row
def without_suffix(name: str) -> str:
    """Return a case's name as written by a user, without an image's suffix.

    ``001.tiff`` is ``001``, but ``midog/001`` and ``biopsy.2`` stay as they are.
    """
    name = unicodedata.normalize("NFC", name_of_file(name))
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and suffix.lower() in IMAGE_SUFFIXES else name


def _parts(file_name: str) -> list[str]:
    parts = PurePosixPath(name_of_file(file_name).replace("\\", "/")).parts
    return [part for part in parts if part not in ("/", "..")]
