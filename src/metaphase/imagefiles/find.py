"""Image files in folders, and which of them are slides of their own.

A slide may consist of several files: the instances of a DICOM series, or the pictures that a
Hamamatsu VMS or VMU file names. It is one slide all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from metaphase.files import real_path
from metaphase.imagefiles.dicomheader import dicom_header
from metaphase.imagefiles.parts import file_key, named_parts

SUFFIXES = frozenset(
    {".svs", ".ndpi", ".scn", ".mrxs", ".bif", ".czi", ".svslide", ".vms", ".vmu", ".dcm"}
    | {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp"}
)
"""Usual suffixes of image files, to search folders. The content decides how a file is read."""

_DICOM = ".dcm"


def is_image_file(path: Path) -> bool:
    """Whether a file in a folder is taken for an image: by its suffix, or as DICOM by its content.

    Hidden files are not (macOS writes ``._name`` beside each file on other systems' disks), and
    neither are DICOM annotations and reports. A link to a file that is away, for instance on a disk
    that is not mounted, is an image that cannot be read: it must not be left out in silence.
    """
    suffix = path.suffix.lower()
    if path.name.startswith("."):
        return False
    if not path.is_file():
        return suffix in SUFFIXES and path.is_symlink() and not path.exists()
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
    parts = {part for image in images for part in named_parts(image)}
    slides: dict[tuple[Path, str], Path] = {}
    for image in images:
        place = real_path(image)
        if file_key(place) in parts or _is_in_mirax_folder(place, images):
            continue
        header = dicom_header(image)
        series = header.series if header is not None and header.series else ""
        slides.setdefault((place.parent, series) if series else (place, ""), image)
    return list(slides.values())


def _is_in_mirax_folder(place: Path, images: list[Path]) -> bool:
    """Whether a file lies in the folder of data that belongs to an MRXS file."""
    if not place.parent.name:  # the root of the file system
        return False
    index = place.parent.with_name(f"{place.parent.name}.mrxs")
    return any(real_path(image) == index for image in images if image.suffix.lower() == ".mrxs")
