"""Downloads one file over HTTP: resumed, repeated after failures, checked by its md5.

No length that a server gives is relied on: a file's body is read up to the published size, and an
answer of the API up to ``MAX_ANSWER_BYTES``.
"""

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
from metaphase.labels.download.records import RemoteFile

MAX_ANSWER_BYTES = 1 << 26
"""The longest answer of an API that is read (64 MiB)."""

_CHUNK = 1 << 18
# figshare answers 403 when it is asked too often.
_TEMPORARY_CODES = {403, 408, 425, 429, 500, 502, 503, 504}
_RANGE = re.compile(r"bytes (\d+)-")
_LONGEST_PAUSE_S = 120.0

Grew = Callable[[int], None]


class _TemporaryError(Exception):
    """A failure that may not repeat, perhaps after a pause that the server asked for."""

    def __init__(self, why: str, pause_s: float = 0.0) -> None:
        super().__init__(why)
        self.pause_s = pause_s


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Number of tries and pauses. ``pause`` sleeps; it doubles after each failure in a row."""

    tries: int = 6
    timeout_s: float = 60.0
    first_pause_s: float = 1.0
    pause: Callable[[float], None] = time.sleep

    def json(self, url: str) -> Any:
        """Return parsed JSON. Raises InputError when all tries have failed."""
        return self._try(url, lambda: self._json_once(url), lambda: 0)

    def file(self, remote: RemoteFile, folder: Path, grew: Grew = lambda size: None) -> Path:
        """Download a file into a folder and return its path; a complete one is kept.

        The file grows as ``NAME.part`` and gets its name when its md5 is right. ``grew`` is called
        with the size so far. Raises InputError when all tries have failed; the partial file stays,
        and the next call continues it.
        """
        target = folder / remote.name
        if is_complete(remote, folder):
            grew(remote.size)
            return target
        folder.mkdir(parents=True, exist_ok=True)
        part = part_of(remote, folder)
        for fresh in (False, True):
            self._try(remote.url, lambda: self._rest(remote, part, grew), lambda: _size(part))
            if _md5(part) == remote.md5:
                os.replace(part, target)
                return target
            # A resumed file may have changed at the source: start once more from the beginning.
            part.unlink()
            grew(0)
            if fresh:
                break
        raise InputError.of(
            remote.name,
            f"was downloaded twice with another md5 than the published {remote.md5}",
            way_out="try again later; report it to the record's authors if it stays so",
        )

    def _try(self, url: str, once: Callable[[], Any], progress: Callable[[], int]) -> Any:
        failures, before = 0, progress()
        while True:
            try:
                return once()
            except _TemporaryError as error:
                now = progress()
                failures = 1 if now > before else failures + 1
                before = now
                if failures >= self.tries:
                    raise InputError.of(
                        url,
                        f"failed {failures} times, the last time because: {error}",
                        way_out="run the same command again to resume",
                    ) from error
                pause = max(error.pause_s, self.first_pause_s * 2.0 ** (failures - 1))
                self.pause(min(pause, _LONGEST_PAUSE_S))

    def _json_once(self, url: str) -> Any:
        try:
            with _open(url, self.timeout_s) as answer:
                text = answer.read(MAX_ANSWER_BYTES + 1)
            if len(text) > MAX_ANSWER_BYTES:
                raise InputError.of(
                    url,
                    f"gave an answer of over {MAX_ANSWER_BYTES >> 20} MiB",
                    way_out="download the record by hand",
                )
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _TemporaryError("the answer is not JSON") from error
        except (OSError, http.client.HTTPException) as error:
            raise _explain(url, error) from error

    def _rest(self, remote: RemoteFile, part: Path, grew: Grew) -> None:
        """Append the missing bytes of a file; a server without ranges starts at the beginning."""
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
                    raise _TemporaryError(f"the server sent bytes from {at} instead of {start}")
                with part.open("ab" if at else "wb") as stream:
                    size = at
                    # Bytes beyond the published size are not read: there may be no end to them.
                    while size < remote.size and (
                        chunk := answer.read(min(_CHUNK, remote.size - size))
                    ):
                        stream.write(chunk)
                        size += len(chunk)
                        grew(size)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code == 416:
                part.unlink(missing_ok=True)  # the file has changed at the source
                raise _TemporaryError("the server does not have the range") from error
            raise _explain(remote.url, error) from error
        if size < remote.size:
            raise _TemporaryError(f"the connection broke after {size} of {remote.size} bytes")


def is_complete(remote: RemoteFile, folder: Path) -> bool:
    """Return whether a file is complete (its md5 was checked before it got its name)."""
    target = folder / remote.name
    return target.is_file() and target.stat().st_size == remote.size


def has_md5(remote: RemoteFile, folder: Path) -> bool:
    """Say whether a file that is there has the published md5, file all of it."""
    return _md5(folder / remote.name) == remote.md5


def part_of(remote: RemoteFile, folder: Path) -> Path:
    """Return the path of a partial file."""
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
    """Return the failure as a temporary or a final one."""
    if isinstance(error, urllib.error.HTTPError):
        message = f"the server answered {error.code} {error.reason}"
        if error.code in _TEMPORARY_CODES:
            return _TemporaryError(message, _asked_pause(error.headers.get("Retry-After")))
        return InputError.of(url, message, way_out="the record may have moved; see its doi")
    if isinstance(error, OSError) and error.errno == 28:  # no space left on device
        return InputError.of(url, "there is no space left on the disk", way_out="make room")
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return _TemporaryError(f"{type(error).__name__}: {reason}")


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
