"""The files that one slide consists of, and the hash of them all.

Most slides are one file. The instances of a DICOM series, the pictures that a Hamamatsu VMS or VMU
file names, and the data folder of a MIRAX file are parts of one slide.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from metaphase.files import open_regular, real_path, sha256_of_file
from metaphase.imagefiles.dicomheader import dicom_header

_INDEXES = (".vms", ".vmu")
_MIRAX = ".mrxs"
_MAX_INDEX_BYTES = 1 << 20

FileKey = tuple[Path, str]


def file_key(path: Path) -> FileKey:
    """Return what is equal for paths of one file; names of these formats ignore case."""
    return path.parent, path.name.casefold()


def named_parts(image: Path) -> set[FileKey]:
    """Return the keys of the files beside an index file that it names as its parts."""
    if image.suffix.lower() not in _INDEXES:
        return set()
    try:
        with open_regular(image) as stream:
            lines = stream.read(_MAX_INDEX_BYTES).splitlines()
    except OSError:
        return set()
    folder = real_path(image).parent
    values = (line.partition(b"=")[2].strip() for line in lines if b"=" in line)
    return {file_key(folder / os.fsdecode(value)) for value in values if value}


def mirax_folder(image: Path) -> Path | None:
    """Return the folder that holds the pixels of a MIRAX file; None for other files."""
    folder = image.with_suffix("")
    return folder if image.suffix.lower() == _MIRAX and folder.is_dir() else None


def other_files(image: Path) -> list[Path]:
    """Return the other files of a slide, sorted; none for a slide of one file."""
    image = image.absolute()
    header = dicom_header(image)
    if header is not None:
        beside = _files_in(image.parent) if header.series else []
        return [
            path
            for path in beside
            if path != image
            and (other := dicom_header(path)) is not None
            and other.series == header.series
        ]
    folder = mirax_folder(image)
    if folder is not None:
        return _files_in(folder)
    parts = named_parts(image)
    folders = sorted({parent for parent, _ in parts if parent.is_dir()})
    return [
        path
        for parent in folders
        for path in _files_in(parent)
        if file_key(path) in parts and path != real_path(image)
    ]


def sha256_of_slide(image: Path) -> str:
    """Return the SHA-256 of a slide: of its file or, where it has several, of all their hashes.

    The instances of a DICOM series have the same hash, whichever of them is named.
    """
    digest = sha256_of_file(image)
    others = other_files(image)
    if not others:
        return digest
    if dicom_header(image) is not None:
        lines = sorted([digest, *map(sha256_of_file, others)])
    else:
        lines = [digest, *(f"{path.name}:{sha256_of_file(path)}" for path in others)]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())
