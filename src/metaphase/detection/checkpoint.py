"""The checkpoint of an image in work: the candidates found so far, kept on disk part by part.

A part holds the candidates of consecutive groups of tiles (``pipeline.py``). How many groups are in
a part depends on the speed of the computer; the result does not.
"""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.arrays import ARCHIVE_ERRORS
from metaphase.detection.candidates import Candidates
from metaphase.files import write_bytes, write_text

_PART = re.compile(r"(\d{6,})-(\d+)\.npz")


class Checkpoint:
    """The finished parts of one image in a folder, valid for one fingerprint.

    The fingerprint is a hash of everything that the numbers depend on. Parts of another fingerprint
    are removed.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        path = folder / "fingerprint"
        try:
            same = path.read_text(encoding="utf-8") == fingerprint
        except (OSError, UnicodeDecodeError):
            same = False
        if not same:
            self.clear()
            write_text(path, fingerprint)

    def load(self, groups: int) -> dict[int, tuple[int, Candidates]]:
        """Return the finished parts by their first group, with their number of groups.

        ``groups`` is the number of groups of the image. Parts that cannot be read are left out.
        """
        parts: dict[int, tuple[int, Candidates]] = {}
        end = 0
        for first, count, path in sorted(self._files()):
            candidates = _read(path) if end <= first and first + count <= groups else None
            if candidates is not None:
                parts[first] = count, candidates
                end = first + count
        return parts

    def save(self, first: int, count: int, candidates: Candidates) -> None:
        """Keep the candidates of ``count`` groups from ``first`` on, safe from a crash."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {
            "rows": candidates.rows,
            "capped_tiles": np.int64(candidates.capped_tiles),
            "rescored": candidates.rescored,
        }
        if candidates.statistics is not None:
            arrays["statistics"] = candidates.statistics
        np.savez(buffer, **arrays)
        write_bytes(self.folder / f"{first:06d}-{count}.npz", buffer.getvalue())

    def clear(self) -> None:
        """Remove the folder with all parts."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _files(self) -> list[tuple[int, int, Path]]:
        matches = ((_PART.fullmatch(path.name), path) for path in self.folder.iterdir())
        return [(int(match[1]), int(match[2]), path) for match, path in matches if match]


def _read(path: Path) -> Candidates | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            return Candidates(
                arrays["rows"],
                int(arrays["capped_tiles"]),
                arrays["rescored"],
                arrays.get("statistics"),
            )
    except ARCHIVE_ERRORS:
        return None
