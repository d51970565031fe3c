"""Fetches one file over HTTP: resumed where it stopped, tried again, checked by its md5."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaphase import __version__
from metaphase.errors import InputError
from metaphase.labels.records import RemoteFile

_CHUNK = 1 << 18
_TRY_AGAIN = {403, 408, 425, 429, 500, 502, 503, 504}  # figshare answers 403 when asked too often
_RANGE = re.compile(r"bytes (\d+)-")
_LONGEST_PAUSE_S = 120.0

Heard = Callable[[int], None]


class _Again(Exception):
    """Something that may work the next time, perhaps after a pause that the server asked for."""

    def __init__(self, why: str, pause_s: float = 0.0) -> None:
        super().__init__(why)
        self.pause_s = pause_s


@dataclass(frozen=True, slots=True)
class Fetcher:
    """How hard to try. ``pause`` sleeps; the pause doubles after each failure in a row."""

    tries: int = 6
    timeout_s: float = 60.0
    first_pause_s: float = 1.0
    pause: Callable[[float], None] = time.sleep

    def json(self, url: str) -> Any:
        """Return parsed JSON. Raises InputError when all tries have failed."""
        return self._try(url, lambda: self._json_once(url), lambda: 0)

    def file(self, remote: RemoteFile, folder: Path, heard: Heard = lambda size: None) -> Path:
        """Fetch a file into a folder and return its path; a whole one that is there is kept.

        The file grows as ``NAME.part`` and gets its name when its md5 is right, so that a name
        stands for a whole file. ``heard`` is told the size so far. Raises InputError when all
        tries have failed; what has come stays, and the next call goes on from there.
        """
        target = folder / remote.name
        if is_whole(remote, folder):
            heard(remote.size)
            return target
        folder.mkdir(parents=True, exist_ok=True)
        part = part_of(remote, folder)
        for fresh in (False, True):
            self._try(remote.url, lambda: self._rest(remote, part, heard), lambda: _size(part))
            if _md5(part) == remote.md5:
                os.replace(part, target)
                return target
            # A resumed file may have been changed at the source: begin once more, then give up.
            part.unlink()
            heard(0)
            if fresh:
                break
        raise InputError.of(
            remote.name,
            f"came twice with another md5 than the published {remote.md5}",
            way_out="try again later; tell the record's authors if it stays so",
        )

    def _try(self, url: str, once: Callable[[], Any], progress: Callable[[], int]) -> Any:
        failures, before = 0, progress()
        while True:
            try:
                return once()
            except _Again as error:
                now = progress()
                failures = 1 if now > before else failures + 1
                before = now
                if failures >= self.tries:
                    raise InputError.of(
                        url,
                        f"failed {failures} times, the last time because: {error}",
                        way_out="run the same command again to go on from here",
                    ) from error
                pause = max(error.pause_s, self.first_pause_s * 2.0 ** (failures - 1))
                self.pause(min(pause, _LONGEST_PAUSE_S))

    def _json_once(self, url: str) -> Any:
        try:
            with _open(url, self.timeout_s) as answer:
                return json.loads(answer.read())
        except ValueError as error:
            raise _Again("the answer is not JSON") from error
        except (OSError, http.client.HTTPException) as error:
            raise _explain(url, error) from error

    def _rest(self, remote: RemoteFile, part: Path, heard: Heard) -> None:
        """Append what is missing of a file; a server without ranges starts from the beginning."""
        start = _size(part)
        if start > remote.size:
            part.unlink()
            start = 0
        if start == remote.size:
            part.touch()
            return
        try:
            with _open(remote.url, self.timeout_s, start) as answer:
                at = _start_of(answer)
                if at not in (0, start):
                    raise _Again(f"the server sent bytes from {at} instead of {start}")
                with part.open("ab" if at else "wb") as stream:
                    size = at
                    while chunk := answer.read(_CHUNK):
                        stream.write(chunk)
                        size += len(chunk)
                        heard(min(size, remote.size))
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code == 416:
                part.unlink(missing_ok=True)  # our part is no part of what is there now
                raise _Again("the server does not know the range") from error
            raise _explain(remote.url, error) from error
        if size < remote.size:
            raise _Again(f"the connection broke after {size} of {remote.size} bytes")


def is_whole(remote: RemoteFile, folder: Path) -> bool:
    """Say whether a file is there in full (its md5 was checked before it got its name)."""
    target = folder / remote.name
    return target.is_file() and target.stat().st_size == remote.size


def has_md5(remote: RemoteFile, folder: Path) -> bool:
    """Say whether a file that is there has the published md5, reading all of it."""
    return _md5(folder / remote.name) == remote.md5


def part_of(remote: RemoteFile, folder: Path) -> Path:
    """Return the path under which a file grows."""
    return folder / f"{remote.name}.part"


def _open(url: str, timeout_s: float, start: int = 0) -> http.client.HTTPResponse:
    headers = {"User-Agent": f"metaphase/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers)
    answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout_s)
    return answer


def _start_of(answer: http.client.HTTPResponse) -> int:
    found = _RANGE.match(answer.headers.get("Content-Range", ""))
    return int(found[1]) if answer.status == 206 and found else 0


def _explain(url: str, error: Exception) -> Exception:
    """Return the failure as one to try again, or as a final one."""
    if isinstance(error, urllib.error.HTTPError):
        said = f"the server answered {error.code} {error.reason}"
        if error.code in _TRY_AGAIN:
            return _Again(said, _asked_pause(error.headers.get("Retry-After")))
        return InputError.of(url, said, way_out="the record may have moved; see its doi")
    if isinstance(error, OSError) and error.errno == 28:  # no space left on device
        return InputError.of(url, "there is no space left on the disk", way_out="make room")
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return _Again(f"{type(error).__name__}: {reason}")


def _asked_pause(value: str | None) -> float:
    return float(value) if value and value.isdigit() else 0.0


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
