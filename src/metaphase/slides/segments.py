"""Bytes of a file and decoded segments (strips and tiles) of images, shared between threads."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from typing import Protocol

from metaphase.arrays import Pixels
from metaphase.files import open_handle

CACHE_BYTES = 128 << 20
"""Decoded segments that all TIFF slides of a process keep together."""


class ByteFile(Protocol):
    """A file from which many threads may read at once. ``size`` is in bytes."""

    size: int

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes; fewer at the end of the file."""


class SharedFile:
    """A file from which many threads may read at once."""

    def __init__(self, path: Path) -> None:
        self._handle = open_handle(path)
        self._lock = threading.Lock()
        self.size = os.fstat(self._handle).st_size

    def read(self, offset: int, count: int) -> bytes:
        """Return ``count`` bytes; fewer at the end of the file."""
        if hasattr(os, "pread"):
            return os.pread(self._handle, count, offset)
        with self._lock:  # Windows
            os.lseek(self._handle, offset, os.SEEK_SET)
            return os.read(self._handle, count)

    def __del__(self) -> None:
        # Closed with its last reference, so that no thread reads from a number that was reused.
        if hasattr(self, "_handle"):
            os.close(self._handle)


class SegmentCache:
    """The most recently used decoded segments, up to a number of bytes.

    A segment that two threads need at the same time is decoded once.
    """

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, Pixels] = OrderedDict()
        self._busy: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, decode: Callable[[], Pixels]) -> Pixels:
        """Return the cached result of ``decode`` for a key, or decode now."""
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
            busy = self._busy.setdefault(key, threading.Lock())
        with busy:
            with self._lock:
                if (kept := self._kept.get(key)) is not None:
                    return kept
            try:
                pixels = decode()
                self._keep(key, pixels)
            finally:
                with self._lock:
                    self._busy.pop(key, None)
        return pixels

    def drop(self, owner: Hashable) -> None:
        """Remove the segments whose key, a tuple, begins with ``owner``."""
        with self._lock:
            gone = [key for key in self._kept if isinstance(key, tuple) and key[0] == owner]
            for key in gone:
                self.bytes -= self._kept.pop(key).nbytes

    def _keep(self, key: Hashable, pixels: Pixels) -> None:
        with self._lock:
            if pixels.nbytes > self.max_bytes or key in self._kept:
                return
            self._kept[key] = pixels
            self.bytes += pixels.nbytes
            while self.bytes > self.max_bytes:
                _, old = self._kept.popitem(last=False)
                self.bytes -= old.nbytes


def shared_cache() -> SegmentCache:
    """Return the cache of this process (a forked child must not inherit locks)."""
    return _cache_of(os.getpid())


@cache
def _cache_of(_process: int) -> SegmentCache:
    return SegmentCache()
