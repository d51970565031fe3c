"""Image files in folders, and which of them are slides of their own.

A slide may consist of several files: the instances of a DICOM series, or the pictures that a
Hamamatsu VMS or VMU file names. It is one slide all the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from metaphase.files import open_regular
from metaphase.slides.dicomheader import dicom_header
from metaphase.slides.open import SUFFIXES

_INDEXES = (".vms", ".vmu")
_DICOM = ".dcm"
_MAX_INDEX_BYTES = 1 << 20


def is_image_file(path: Path) -> bool:
    """Whether a file in a folder is taken for an image: by its suffix, or as DICOM by its content.

    Hidden files are not (macOS writes ``._name`` beside each file on other systems' disks), and
    neither are DICOM annotations and reports.
    """
    suffix = path.suffix.lower()
    if path.name.startswith(".") or not path.is_file():
        return False
    if suffix in SUFFIXES and suffix != _DICOM:
        return True
    # DICOM files are often named by their identifier: no suffix, or what follows its last point.
    if suffix not in ("", _DICOM, ".dicom") and not suffix[1:].isdigit():
        return False
    header = dicom_header(path)
    return suffix == _DICOM if header is None else header.is_image


def images_in(folder: Path) -> list[Path]:
    """Return the slides directly in a folder, by name. Raises OSError."""
    return separate_slides(sorted(path for path in folder.iterdir() if is_image_file(path)))


def separate_slides(images: Iterable[Path]) -> list[Path]:
    """Return the images that are slides of their own, in their order.

    Of each DICOM series in a folder it is the first file; files that belong to another of the
    images are left out.
    """
    images = list(images)
    parts = {part for image in images for part in _parts_of(image)}
    slides: dict[tuple[Path, str], Path] = {}
    for image in images:
        place = image.resolve()
        if _key(place) in parts or _is_in_mirax_folder(place, images):
            continue
        header = dicom_header(image)
        series = header.series if header is not None and header.series else ""
        slides.setdefault((place.parent, series) if series else (place, ""), image)
    return list(slides.values())


def _parts_of(image: Path) -> set[tuple[Path, str]]:
    """Return the files beside an image that it names as its parts."""
    if image.suffix.lower() not in _INDEXES:
        return set()
    try:
        with open_regular(image) as stream:
            lines = stream.read(_MAX_INDEX_BYTES).splitlines()
    except OSError:
        return set()
    folder = image.resolve().parent
    values = (line.partition(b"=")[2].strip() for line in lines if b"=" in line)
    return {_key(folder / os.fsdecode(value)) for value in values if value}


def _key(path: Path) -> tuple[Path, str]:
    """Return what is equal for paths of one file; names of these formats ignore case."""
    return path.parent, path.name.casefold()


def _is_in_mirax_folder(place: Path, images: list[Path]) -> bool:
    """Whether a file lies in the folder of data that belongs to an MRXS file."""
    index = place.parent.with_name(f"{place.parent.name}.mrxs")
    return any(image.resolve() == index for image in images if image.suffix.lower() == ".mrxs")
