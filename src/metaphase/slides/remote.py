"""Slides on web servers and object stores: only the parts that are needed are read.

Bytes are requested in blocks and kept in a bounded cache, so that neighbouring tiles share a
request.
"""

from __future__ import annotations

import hashlib
import io
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.slides.address import shown
from metaphase.slides.remotesource import Source, source_of
from metaphase.slides.segments import SegmentCache

BLOCK_BYTES = 1 << 18
CACHE_BYTES = 64 << 20
"""Blocks of all remote slides of a process that are kept together."""


class RemoteFile:
    """A file of a server that many threads may read at once, like ``SharedFile``."""

    def __init__(self, url: str, source: Source | None = None) -> None:
        """Ask the server for size and version. Raises NoRangesError, SlideError."""
        self.url, self.name = url, Path(shown(url)).name
        self._source = source or source_of(url)
        described = self._source.describe()
        self.size, self.version = described.size, described.version
        identity = f"{shown(url)}\n{self.size}\n{self.version}"
        self.id = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes; fewer at the end of the file."""
        end = min(offset + count, self.size)
        if end <= offset:
            return b""
        first, last = offset // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        data = b"".join(self._block(number) for number in range(first, last + 1))
        begin = offset - first * BLOCK_BYTES
        return data[begin : begin + end - offset]

    def stream(self) -> io.BufferedIOBase:
        """Return the file as a stream."""
        return io.BufferedReader(_Stream(self), 1 << 13)

    def _block(self, number: int) -> bytes:
        def fetch() -> Any:
            start = number * BLOCK_BYTES
            end = min(start + BLOCK_BYTES, self.size)
            return np.frombuffer(self._source.fetch(start, end), np.uint8)

        return _blocks(os.getpid()).get((self.id, number), fetch).tobytes()


class _Stream(io.RawIOBase):
    def __init__(self, file: RemoteFile) -> None:
        self._file, self._at = file, 0
        self.name = file.name

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


@cache
def _blocks(_process: int) -> SegmentCache:
    return SegmentCache(CACHE_BYTES)
