"""Output folders: created with a clear error, and locked so that one command at a time writes.

The lock is an advisory one of the operating system (``flock``; on Windows ``msvcrt.locking``) on a
file in the folder. It ends with the process, however that ends, and its file is removed with it.
Where a file system knows no locks, there is none.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from metaphase.errors import FolderInUseError, InputError
from metaphase.files import remove_unfinished

LOCK_NAME = ".metaphase.lock"
_HELD = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_UNSUPPORTED = {errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL}


def output_folder(path: str | Path) -> Path:
    """Create a folder for results and its parents. Raises InputError where that is not possible."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "it may not be written to")
    except (OSError, ValueError) as error:
        raise InputError.of(path, _reason(folder, error), way_out="choose another --out") from error
    return folder


@contextmanager
def locked_folder(path: str | Path) -> Iterator[Path]:
    """Create a folder for results and lock it while the block runs.

    Temporary files that a killed command left there are removed.

    Raises InputError where the folder cannot be created, FolderInUseError (an InputError) where
    another command, of this computer or of another that shares the folder, has locked it.
    """
    folder = output_folder(path)
    lock = folder / LOCK_NAME
    handle = _acquire(lock, folder)
    if handle is not None:
        remove_unfinished(folder)
    try:
        yield folder
    finally:
        if handle is not None:
            # Removed while the lock is held; whoever opened the file before notices in _acquire.
            # (Windows removes no open file.)
            with contextlib.suppress(OSError):
                lock.unlink()
            os.close(handle)
            with contextlib.suppress(OSError):
                if sys.platform == "win32":
                    lock.unlink()


def _acquire(lock: Path, folder: Path) -> int | None:
    """Return the handle of the locked file; None where the file system knows no locks."""
    while True:
        try:
            handle = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            message = f"no lock file can be written: {error.strerror}"
            raise InputError.of(folder, message, way_out="choose another --out") from error
        try:
            _lock(handle)
        except OSError as error:
            owner = _owner(handle)
            os.close(handle)
            if error.errno in _HELD:
                raise FolderInUseError.of(
                    folder,
                    f"another command writes to it{owner}",
                    way_out="wait for its end, or choose another --out",
                ) from None
            if error.errno in _UNSUPPORTED:
                return None
            raise
        if _is_file_of(handle, lock):
            _write_owner(handle)
            return handle
        os.close(handle)  # its owner has removed it since: the next try makes a new one


def _is_file_of(handle: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(lock))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        # A byte beyond the text, so that others can read who holds the lock.
        os.lseek(handle, 1 << 20, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _write_owner(handle: int) -> None:
    owner = {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with contextlib.suppress(OSError):  # a full disk: the lock holds without its owner's name
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, json.dumps(owner).encode())


def _owner(handle: int) -> str:
    """Return in words who holds a lock; empty where that is not known."""
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        owner = json.loads(os.read(handle, 4096))
        return f" (process {owner['process']} on {owner['host']}, since {owner['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _reason(folder: Path, error: OSError | ValueError) -> str:
    """Return why a folder cannot be created: the parent that is a file, or the system's words."""
    blocking = next((p for p in (folder, *folder.parents) if _is_other_than_folder(p)), None)
    if blocking is not None:
        name = "it" if blocking == folder else str(blocking)
        return f"is no folder for results: {name} is a file"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return f"cannot be used for results: {text}"


def _is_other_than_folder(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):
        return False
