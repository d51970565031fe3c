"""Copies of remote files that cannot be read in parts, in a scratch folder of this process."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from metaphase.errors import InputError, SlideError
from metaphase.slides.address import shown
from metaphase.slides.remotesource import Source

LIMIT_VARIABLE = "METAPHASE_SCRATCH_GB"
LIMIT_GB = 20.0
"""Most gigabytes of copies that a process keeps."""


@dataclass
class Scratch:
    """A folder of copies. The oldest are removed where a new one would pass the limit."""

    limit: int
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="metaphase-")))
    _copies: OrderedDict[str, tuple[Path, int]] = field(default_factory=OrderedDict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def close(self) -> None:
        """Remove the folder with all copies."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def copy(self, url: str, source: Source) -> Path:
        """Return the copy of a file, made by the first call. Raises SlideError."""
        with self._lock:
            if url not in self._copies:
                self._copies[url] = self._copied(url, source)
            self._copies.move_to_end(url)
            return self._copies[url][0]

    def _copied(self, url: str, source: Source) -> tuple[Path, int]:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        path = folder / (Path(shown(url)).name or "image")
        try:
            size = source.copy(path, self.limit)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise SlideError.of(
                    shown(url),
                    f"cannot be copied to {self.folder}: {error.strerror or error}",
                    way_out="free some space, or set TMPDIR to a larger disk",
                ) from error
            raise
        while self._copies and size + sum(each for _, each in self._copies.values()) > self.limit:
            _, (old, _) = self._copies.popitem(last=False)
            with contextlib.suppress(OSError):  # Windows keeps a file that is open
                shutil.rmtree(old.parent)
        return path, size


def scratch() -> Scratch:
    """Return the scratch folder of this process. Raises InputError for a limit that is wrong."""
    return _scratch(os.getpid(), os.environ.get(LIMIT_VARIABLE, str(LIMIT_GB)))


@cache
def _scratch(_process: int, text: str) -> Scratch:
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = math.nan
    if not gigabytes > 0:
        raise InputError.of(LIMIT_VARIABLE, f"{text!r} is not a number of gigabytes above 0")
    made = Scratch(int(min(gigabytes * 1e9, 2**62)))
    atexit.register(made.close)
    return made
