"""``--verbose`` and ``--log-file``: what a command did, in lines.

The package logs to ``metaphase``. Without these options nothing of it is shown: what every user has
to know is printed by the command itself.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from metaphase import __version__
from metaphase.errors import OutputError
from metaphase.files import check_regular

logger = logging.getLogger("metaphase")


class _Details(logging.Handler):
    """Prints to stderr what the command does not print itself: the records below INFO."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.INFO:
            typer.echo(self.format(record), err=True)


class _LogFile(logging.FileHandler):
    """Appends lines to a file. The first error of writing is kept: the command goes on."""

    problem: OSError | None = None

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self.problem = self.problem or error
        else:
            super().handleError(record)

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:  # the disk is full when the last lines are written
            self.problem = self.problem or error

    def check(self) -> None:
        """Raise OutputError if a line could not be written."""
        if self.problem is not None:
            raise OutputError.of(
                Path(self.baseFilename),
                f"cannot be written: {self.problem.strerror}; the log is incomplete",
                way_out="choose another --log-file; what the command made is there",
            ) from self.problem


@contextmanager
def logging_to(file: Path | None, *, verbose: bool = False) -> Iterator[None]:
    """Log to a file, and details to stderr, while the block runs.

    Lines are appended to ``file``, with date, time and level. Raises OutputError where it cannot be
    written.
    """
    handlers: list[logging.Handler] = [_Details()] if verbose else []
    if file is not None:
        handlers.append(_file_handler(file))
    level = logger.level
    for handler in handlers:
        logger.addHandler(handler)
    if handlers:
        logger.setLevel(logging.DEBUG)
        logger.debug("metaphase %s: %s", __version__, " ".join(sys.argv[1:]))
    try:
        yield
    except BaseException as error:
        logger.debug("ended by %s", type(error).__name__, exc_info=True)
        raise
    finally:
        logger.setLevel(level)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
    for handler in handlers:
        if isinstance(handler, _LogFile):
            handler.check()


def _file_handler(file: Path) -> _LogFile:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            check_regular(file)
        handler = _LogFile(file, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise OutputError.of(
            file, f"cannot be written: {error.strerror}", way_out="choose another --log-file"
        ) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    return handler
