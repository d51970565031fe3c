"""Which cases are meant: ids, patterns, domains, and files that list them."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from metaphase.files import read_text
from metaphase.labels.dataset import DOMAINS, Case

FILE_MARK = "@"


def matches(case: Case, pattern: str) -> bool:
    """Whether a pattern means a case: its id, a pattern of it (``A00_*``), or ``domain:pattern``
    with a domain of ``DOMAINS`` (``scanner:Aperio*``, ``group:MIDOG21/00?``)."""
    by, colon, value = pattern.partition(":")
    if colon and by in DOMAINS:
        return fnmatchcase(case.domain(by), value)
    return fnmatchcase(case.id, pattern)


def expand_lists(patterns: Iterable[str], folder: str | Path = ".") -> tuple[str, ...]:
    """Return the patterns with ``@list.txt`` replaced by the lines of that file.

    A list has a pattern a line; empty lines and those that begin with ``#`` are left out. It is
    looked for relative to ``folder``. Raises ValueError where it cannot be read or names nothing.
    """
    found: list[str] = []
    for pattern in patterns:
        if not pattern.startswith(FILE_MARK):
            found.append(pattern)
            continue
        path = Path(folder, pattern.removeprefix(FILE_MARK)).expanduser()
        found += _lines(path)
    return tuple(found)


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in read_text(path, "utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the list {path} cannot be read: {error}") from error
    patterns = [line for line in lines if line and not line.startswith("#")]
    if not patterns:
        raise ValueError(f"the list {path} names nothing: one pattern a line")
    return patterns
