"""Files: read only if they are regular files, written whole or not at all, and their hashes.

Opening a named pipe waits for a writer, perhaps for ever, and a device may have no end. All paths
that a user can name are therefore opened by ``open_regular`` and the functions that use it.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from metaphase.errors import OutputError

_CHUNK = 1 << 20
_UNFINISHED = re.compile(r"\..*-[a-z0-9_]{8}\.tmp(\..*)?", re.DOTALL)
_STEM = 32  # characters of the target in the name of a temporary file
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class NotRegularFileError(OSError):
    """A path is a named pipe, a socket or a device. ``strerror`` says which."""


def open_handle(path: str | Path) -> int:
    """Open a regular file for reading and return its number. Raises OSError for other kinds."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    # Without waiting for the writer of a named pipe; for regular files it changes nothing.
    try:
        handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    except ValueError as error:
        raise OSError(errno.EINVAL, f"no file can have this name: {error}", str(path)) from error
    try:
        _check_mode(os.fstat(handle).st_mode, path)
    except OSError:
        os.close(handle)
        raise
    return handle


def open_regular(path: str | Path) -> BinaryIO:
    """Open a regular file for reading, in binary. Raises OSError for other kinds."""
    return os.fdopen(open_handle(path), "rb")


def check_regular(path: str | Path) -> None:
    """Raise OSError unless a path is a regular file: for libraries that open files themselves."""
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:
        raise OSError(errno.EINVAL, f"no file can have this name: {error}", str(path)) from error
    _check_mode(mode, path)


def _check_mode(mode: int, path: str | Path) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    kind = next((name for test, name in _KINDS if test(mode)), "something else")
    raise NotRegularFileError(errno.EINVAL, f"it is {kind}, not a file", str(path))


def real_path(path: str | Path) -> Path:
    """Return an absolute path without links and ``..``.

    Unlike ``Path.resolve``, it raises nothing for links in a circle and names that no file has.
    """
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):
        return Path(os.path.abspath(path))


def read_bytes(path: str | Path) -> bytes:
    """Return the bytes of a regular file. Raises OSError."""
    with open_regular(path) as stream:
        return stream.read()


def read_text(path: str | Path, encoding: str = "utf-8") -> str:
    """Return the text of a regular file, with ``\\n`` line ends. Raises OSError, UnicodeError."""
    text = read_bytes(path).decode(encoding)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def open_text(path: str | Path, encoding: str = "utf-8") -> TextIO:
    """Open a regular file of text, line ends unchanged, as the ``csv`` module needs it."""
    return io.TextIOWrapper(open_regular(path), encoding=encoding, newline="")


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, and rename it to ``path`` if the block succeeds.

    Readers never see half a file, and after a crash the old one is still there.
    """
    target = Path(path)
    with _output_errors(target):
        if target.exists():
            check_regular(target)  # a device or a named pipe would be replaced by a file
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
    try:
        with _output_errors(target, only=_FULL):
            yield temporary
        with _output_errors(target):
            temporary.chmod(0o666 & ~_umask())
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _output_errors(target: Path, only: frozenset[int] | None = None) -> Iterator[None]:
    """Turn an OSError (with one of the numbers ``only``) into an OutputError about the target."""
    try:
        yield
    except (OSError, ValueError) as error:  # a ValueError for a name with NUL
        number = error.errno if isinstance(error, OSError) else None
        if only is not None and number not in only:
            raise
        reason = os.strerror(number) if number else str(error)
        if isinstance(error, NotRegularFileError):
            reason = str(error.strerror)
        raise OutputError.of(
            target,
            f"cannot be written: {reason}",
            way_out="name another place with --out, or make room or change the permissions there",
        ) from error


def _temporary(target: Path) -> Path:
    """Create an empty file beside the target; its name is short, so that it is always allowed."""
    handle, name = tempfile.mkstemp(
        dir=target.parent, prefix=f".{target.stem[:_STEM]}-", suffix=f".tmp{target.suffix[:_STEM]}"
    )
    os.close(handle)
    return Path(name)


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files that ``whole_file`` left in a folder when its process was killed.

    Only for a folder to which no one else writes.
    """
    for path in folder.glob(".*.tmp*"):
        if _UNFINISHED.fullmatch(path.name):
            path.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all, with ``\\n`` line ends.

    Names of files that are not UTF-8 are written with escapes such as ``\\udcff``, which JSON reads
    back as they were.
    """
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def append_text(path: str | Path, text: str) -> None:
    """Add UTF-8 text to the end of a regular file, which is made if it is absent. Raises OSError.

    Names of files that are not UTF-8 are written with escapes, as ``write_text`` does.
    """
    path = Path(path)
    if path.exists():
        check_regular(path)
    with path.open("a", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        stream.write(text)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a binary file whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: str | Path, data: Any) -> None:
    """Write indented JSON whole or not at all."""
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def sha256_of_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
