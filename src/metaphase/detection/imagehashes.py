"""The SHA-256 of images, kept in a table so that unchanged files are not read again.

A file is taken as unchanged while its path, size, time of modification and number on the disk
(inode) are the same. A file that was written moments before it was hashed is not kept, because a
second change in the same moment could not be seen. Neither is a small one, which is read fast. The
table is used to recognise finished images; a new result always has the hash of what was read.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from metaphase.files import append_text, read_bytes

HASHES_NAME = ".hashes.jsonl"
SETTLED_S = 2.0
"""Seconds between the last change of a file and the start of hashing that are needed to keep it."""

LEAST_BYTES = 1 << 20
"""Size of the smallest file whose hash is kept."""

ONE_FILE = frozenset(
    {".svs", ".ndpi", ".scn", ".bif", ".czi", ".svslide", ".tif", ".tiff"}
    | {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
)
"""Formats whose slides are one file. Those of several files are hashed every time."""

State = tuple[int, int, int]


class ImageHashes:
    """The hashes of earlier runs, in a file with one JSON list per line."""

    def __init__(self, path: Path) -> None:
        """Read the table; lines that cannot be read are left out."""
        self._path = path
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[State, str]] = dict(_rows(path))

    def get(self, image: Path) -> str | None:
        """Return the hash of a file, None if it is not known or the file has changed."""
        kept = self._kept.get(_name(image))
        return kept[1] if kept is not None and kept[0] == _state(image) else None

    def add(self, image: Path, sha256: str, began: float | None = None) -> None:
        """Keep the hash of a file. ``began`` is the time at which hashing began (None: now).

        Raises OSError.
        """
        state = _state(image)
        began = time.time() if began is None else began
        if state is None or not sha256 or began - state[1] * 1e-9 < SETTLED_S:
            return
        name = _name(image)
        with self._lock:
            if self._kept.get(name) == (state, sha256):
                return
            self._kept[name] = state, sha256
            append_text(self._path, json.dumps([name, *state, sha256]) + "\n")


def _name(image: Path) -> str:
    return str(image.absolute())


def _state(image: Path) -> State | None:
    """Return size, time of modification and inode; None for files whose hash is not kept."""
    if image.suffix.lower() not in ONE_FILE:
        return None
    try:
        stat = image.stat()
    except OSError:
        return None
    return (stat.st_size, stat.st_mtime_ns, stat.st_ino) if stat.st_size >= LEAST_BYTES else None


def _rows(path: Path) -> list[tuple[str, tuple[State, str]]]:
    try:
        lines = read_bytes(path).decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        try:
            name, size, changed, inode, sha256 = json.loads(line)
            rows.append((str(name), ((int(size), int(changed), int(inode)), str(sha256))))
        except (
            ValueError,
            TypeError,
            OverflowError,
            RecursionError,
        ):  # the last line of a run that was killed
            continue
    return rows
