"""Output in any encoding, and orderly ends: Ctrl-C, full disks, errors of the system."""

from __future__ import annotations

import codecs
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from metaphase.cli.commands import INTERRUPTED
from metaphase.errors import DeprecatedNameWarning

TRACEBACK = "METAPHASE_TRACEBACK"
"""Environment variable; if it is set, unexpected operating system errors keep their traceback."""


def accept_all_characters() -> None:
    """Let stdout and stderr write characters that their encoding lacks, as escapes.

    Output may go to a terminal or file in a Windows code page, and file names may hold bytes that
    are no UTF-8. ASCII usually means that no encoding is set, as in bare containers. It becomes
    UTF-8, as Python (PEP 538) and typer do: one output must not have two encodings.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is None:
            continue
        encoding = codecs.lookup(stream.encoding or "utf-8").name
        if encoding == "ascii":
            reconfigure(encoding="utf-8", errors="backslashreplace")
        elif not (encoding == "utf-8" and stream.errors == "surrogateescape"):
            reconfigure(errors="backslashreplace")


def end_at_second_interrupt() -> None:
    """Raise KeyboardInterrupt at the first Ctrl-C and end the process at once at the second.

    The first one lets running work finish its cleanup. Files are written whole or not at all, so
    the second one loses nothing. A handler of other code, or an ignored signal (background
    jobs of a shell), stays.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _first)


def end_at_next_interrupt() -> None:
    """End the process without a traceback at a Ctrl-C from here on: the work is done."""
    if signal.getsignal(signal.SIGINT) in (_first, signal.default_int_handler):
        signal.signal(signal.SIGINT, _second)


@contextmanager
def old_names_as_notes() -> Iterator[None]:
    """Print warnings of old names as notes, without the line of code that they come from."""
    with warnings.catch_warnings():
        show_other = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, DeprecatedNameWarning):
                print(f"note: {message}", file=sys.stderr)
            else:
                show_other(message, category, *place)

        warnings.showwarning = show  # type: ignore[assignment]
        yield


def _first(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _second)
    raise KeyboardInterrupt


def _second(_number: int, _frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)


def system_error_text(error: OSError | MemoryError) -> str:
    """Return a message for an error of the operating system: what, and at which file."""
    if isinstance(error, MemoryError):
        return "there is not enough memory for this"
    text = error.strerror or str(error) or type(error).__name__
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{' -> '.join(names)}: {text}" if names else text
