"""What has been found so far, kept on disk block by block, so that a crash costs one block."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from metaphase.files import write_bytes, write_text

BLOCK_TILES = 128
"""Tiles a block: a few seconds of work. Part of what makes results equal: batches never cross
blocks, so that a block is computed alike whether or not the ones before it were."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates in full-resolution pixels, as rows x, y, score, label [n, 4].

    ``capped_tiles`` is the number of tiles that had more candidates than are kept. ``seen`` is what
    was looked at again: rows x, y, score, second score [k, 4], the first three as in files.
    """

    rows: NDArray[np.float64]
    capped_tiles: int = 0
    seen: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))

    @classmethod
    def join(cls, parts: list[Candidates]) -> Candidates:
        """Return the candidates of several blocks as one."""
        rows = [np.zeros((0, 4)), *(part.rows for part in parts)]
        seen = [np.zeros((0, 4)), *(part.seen for part in parts)]
        capped = sum(part.capped_tiles for part in parts)
        return cls(np.concatenate(rows), capped, np.concatenate(seen))


class Checkpoint:
    """Finished blocks in a folder, valid for one fingerprint alone.

    The fingerprint is that of everything the numbers depend on; blocks of another one are removed.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        mark = folder / "fingerprint"
        try:
            same = mark.read_text(encoding="utf-8") == fingerprint
        except (OSError, UnicodeDecodeError):
            same = False
        if not same:
            self.clear()
            write_text(mark, fingerprint)

    def load(self, block: int) -> Candidates | None:
        """Return a finished block, or None."""
        try:
            with np.load(io.BytesIO(self._path(block).read_bytes()), allow_pickle=False) as parts:
                return Candidates(parts["rows"], int(parts["capped_tiles"]), parts["seen"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None

    def save(self, block: int, found: Candidates) -> None:
        """Keep a finished block; after this returns, no crash loses it."""
        buffer = io.BytesIO()
        capped = np.int64(found.capped_tiles)
        np.savez(buffer, rows=found.rows, capped_tiles=capped, seen=found.seen)
        write_bytes(self._path(block), buffer.getvalue())

    def clear(self) -> None:
        """Remove the folder with all its blocks."""
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _path(self, block: int) -> Path:
        return self.folder / f"{block:06d}.npz"
