"""Where the bytes of remote files come from: web servers and object stores, through fsspec.

Needs the extra ``cloud``. A request that fails for a reason that may pass is repeated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from metaphase.errors import InputError, MissingExtraError, SlideError
from metaphase.slides.address import path_of, shown
from metaphase.values import shown as shown_text

TRIES = 4
FIRST_PAUSE_S = 0.5
"""Pause before the second try; it doubles with each further one."""

CONNECT_S, SILENCE_S, RANGE_S = 30.0, 60.0, 300.0
"""Most seconds until a server answers, between two pieces of an answer, and for one range."""

_REFUSED, _MISSING = {401, 403}, {404, 410}
_TEMPORARY = {408, 425, 429, 500, 502, 503, 504}

T = TypeVar("T")


class NoRangesError(Exception):
    """The server sends whole files only."""


class _TemporaryError(Exception):
    """A failure that may not repeat."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a server says of a file: its size in bytes, and what changes when its bytes change."""

    size: int
    version: str


class Source(Protocol):
    """Where the bytes of a remote file come from."""

    def describe(self) -> Described:
        """Return size and version. Raises NoRangesError, SlideError."""

    def fetch(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to before ``end``. Raises SlideError."""

    def copy(self, target: Path, limit: int) -> int:
        """Copy the whole file, at most ``limit`` bytes, and return its size. Raises SlideError."""


def source_of(url: str) -> Source:
    """Return how an address is read. Raises SlideError for a wrong one, MissingExtraError."""
    scheme = url.partition("://")[0]
    try:
        _ = urlsplit(url).port
    except ValueError as error:  # brackets or a port that are none
        raise SlideError.of(
            shown(url), f"is no address of a server: {error}", way_out="correct the address"
        ) from error
    http = scheme in ("http", "https")
    try:
        import fsspec

        filesystem = fsspec.filesystem("http" if http else scheme)
    except ImportError as error:
        raise MissingExtraError("cloud", f"reading {scheme}:// addresses") from error
    return HttpSource(url, filesystem) if http else StoreSource(url, filesystem)


@dataclass(frozen=True)
class HttpSource:
    """A file of a web server, which must answer requests of ranges."""

    url: str
    filesystem: Any

    def describe(self) -> Described:
        """Return size and version. Raises NoRangesError, SlideError."""
        described: Described = _repeated(self.url, lambda: self._sync(self._first))
        return described

    def fetch(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to before ``end``. Raises SlideError."""
        data: bytes = _repeated(self.url, lambda: self._sync(self._range, start, end))
        return data

    def copy(self, target: Path, limit: int) -> int:
        """Copy the whole file, at most ``limit`` bytes, and return its size. Raises SlideError."""
        size: int = _repeated(self.url, lambda: self._sync(self._whole, target, limit))
        return size

    def _sync(self, function: Callable[..., Any], *arguments: Any) -> Any:
        import aiohttp
        from fsspec.asyn import sync

        try:
            return sync(self.filesystem.loop, function, *arguments)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _TemporaryError(str(error) or type(error).__name__) from error

    async def _get(self, headers: dict[str, str]) -> Any:
        import aiohttp

        session = await self.filesystem.set_session()
        headers = {"Accept-Encoding": "identity", **headers}
        # A large copy may take long, but not without a byte for long.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
        return session.get(self.filesystem.encode_url(self.url), headers=headers, timeout=timeout)

    async def _first(self) -> Described:
        async with await self._get({"Range": "bytes=0-0"}) as answer:
            _check_status(self.url, answer.status)
            total = answer.headers.get("Content-Range", "").rpartition("/")[2]
            size = _size_of(total)
            if answer.status != 206 or size is None:
                raise NoRangesError(self.url)
            names = ("ETag", "Last-Modified")
            return Described(size, next(filter(None, map(answer.headers.get, names)), ""))

    async def _range(self, start: int, end: int) -> bytes:
        async with await self._get({"Range": f"bytes={start}-{end - 1}"}) as answer:
            _check_status(self.url, answer.status)
            if answer.status != 206:
                raise _TemporaryError("it sent the whole file")
            began = answer.headers.get("Content-Range", "").partition("-")[0]
            if began.rpartition(" ")[2] != str(start):
                raise _TemporaryError(f"it sent {shown_text(began)} instead of bytes {start}")
            # One byte more than was asked for shows a wrong answer; there may be no end to it.
            data = b""
            async with asyncio.timeout(RANGE_S):
                while len(data) <= end - start and (
                    part := await answer.content.read(end - start + 1 - len(data))
                ):
                    data += part
            return _checked(data, end - start)

    async def _whole(self, target: Path, limit: int) -> int:
        async with await self._get({}) as answer:
            _check_status(self.url, answer.status)
            size = 0
            expected = _size_of(answer.headers.get("Content-Length", "")) or 0
            with target.open("wb") as stream:
                async for chunk in answer.content.iter_chunked(1 << 20):
                    size += len(chunk)
                    _check_limit(self.url, max(size, expected), limit)
                    stream.write(chunk)
            if size < expected:
                raise _TemporaryError("the connection ended before the file")
            return size


@dataclass(frozen=True)
class StoreSource:
    """An object of a store (S3, Google Cloud Storage)."""

    url: str
    filesystem: Any

    def describe(self) -> Described:
        """Return size and version. Raises SlideError."""
        info = self._call(lambda: self.filesystem.info(self.url))
        if info.get("type") == "directory" or info.get("size") is None:
            raise SlideError.of(shown(self.url), "is no file", way_out="name a file")
        names = ("ETag", "etag", "md5Hash", "mtime", "LastModified")
        version = next((str(info[name]) for name in names if info.get(name)), "")
        return Described(int(info["size"]), version)

    def fetch(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to before ``end``. Raises SlideError."""
        read = self.filesystem.cat_file
        return self._call(lambda: _checked(read(self.url, start=start, end=end), end - start))

    def copy(self, target: Path, limit: int) -> int:
        """Copy the whole file, at most ``limit`` bytes, and return its size. Raises SlideError."""
        size = self.describe().size
        _check_limit(self.url, size, limit)
        self._call(lambda: self.filesystem.get_file(self.url, str(target)))
        return size

    def _call(self, call: Callable[[], T]) -> T:
        def once() -> T:
            try:
                return call()
            except (InputError, _TemporaryError):
                raise
            except FileNotFoundError as error:
                raise _missing(self.url) from error
            except PermissionError as error:
                raise _refused(self.url, str(error)) from error
            except Exception as error:  # each provider has errors of its own
                if "credential" in f"{type(error).__name__} {error}".lower():
                    raise _refused(self.url, str(error)) from error
                raise _TemporaryError(str(error) or type(error).__name__) from error

        return _repeated(self.url, once)


def images_under(url: str, suffixes: frozenset[str]) -> list[str] | None:
    """Return the images directly under an address of a store, by name; None for a file.

    Web servers have no folders: None too. Raises SlideError, MissingExtraError.
    """
    name = path_of(url)
    if url.startswith("http") or Path(name).suffix.lower() in suffixes:
        return None
    source = source_of(url)
    assert isinstance(source, StoreSource)
    filesystem = source.filesystem
    entries = source._call(lambda: filesystem.ls(url.rstrip("/"), detail=False))
    scheme = url.partition("://")[0]
    images = (f"{scheme}://{str(entry).partition('://')[2] or entry}" for entry in entries)
    return sorted(image for image in images if Path(image).suffix.lower() in suffixes)


def _repeated(url: str, call: Callable[[], T]) -> T:
    pause = FIRST_PAUSE_S
    for left in reversed(range(TRIES)):
        try:
            return call()
        except _TemporaryError as error:
            if not left:
                raise SlideError.of(
                    shown(url),
                    f"cannot be read from the server: {error}",
                    way_out="check the connection; the same command resumes",
                ) from error
            time.sleep(pause)
            pause *= 2
    raise AssertionError


def _size_of(text: str) -> int | None:
    """Return a number of bytes that a server states; None for anything else."""
    return int(text) if len(text) < 20 and text.isascii() and text.isdigit() else None


def _check_status(url: str, status: int) -> None:
    if status in _REFUSED:
        raise _refused(url, f"status {status}")
    if status in _MISSING:
        raise _missing(url)
    if status in _TEMPORARY:
        raise _TemporaryError(f"the server answers with status {status}")
    if status >= 400:
        raise SlideError.of(shown(url), f"the server answers with status {status}")


def _check_limit(url: str, size: int, limit: int) -> None:
    if size > limit:
        raise SlideError.of(
            shown(url),
            f"has {size / 1e9:.1f} GB, and at most {limit / 1e9:g} GB are copied",
            way_out="copy it yourself, or set METAPHASE_SCRATCH_GB",
        )


def _checked(data: bytes, count: int) -> bytes:
    if len(data) != count:
        raise _TemporaryError(f"it sent {len(data)} of {count} bytes")
    return data


def _missing(url: str) -> InputError:
    return SlideError.of(shown(url), "does not exist on the server", way_out="check the address")


def _refused(url: str, why: str) -> InputError:
    return SlideError.of(
        shown(url),
        f"the server refuses access ({why})",
        way_out="use a signed address, or set the credentials as for the provider's own tools",
    )
