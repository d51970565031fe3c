"""The review store: an SQLite table to which decisions are appended and never changed.

A decision is on disk before it is acknowledged (WAL with full sync), so that none is lost when the
process is killed or several processes write at once. Undoing appends a decision too. Remarks
(comments, thresholds, the assigned reader) are kept the same way in a table of their own.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from metaphase.errors import InputError
from metaphase.figures import Label
from metaphase.files import check_regular
from metaphase.values import position, shown

_Row = TypeVar("_Row")

VERSION = 1
WHOLE_SLIDE = ""
"""The figure id of decisions about the whole slide."""

_SCHEMA = """
CREATE TABLE decisions (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  slide TEXT NOT NULL,
  figure TEXT NOT NULL,
  state TEXT NOT NULL,
  label TEXT,
  x_px REAL,
  y_px REAL,
  score REAL,
  reviewer TEXT NOT NULL,
  time TEXT NOT NULL,
  request TEXT UNIQUE
);
CREATE INDEX decisions_by_slide ON decisions (slide, seq);
CREATE TRIGGER decisions_stay BEFORE UPDATE ON decisions
  BEGIN SELECT RAISE(ABORT, 'decisions are only ever added'); END;
CREATE TRIGGER decisions_are_kept BEFORE DELETE ON decisions
  BEGIN SELECT RAISE(ABORT, 'decisions are only ever added'); END;
"""
_REMARKS = """
CREATE TABLE IF NOT EXISTS remarks (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  slide TEXT NOT NULL,
  figure TEXT NOT NULL,
  kind TEXT NOT NULL,
  value TEXT NOT NULL,
  reviewer TEXT NOT NULL,
  time TEXT NOT NULL,
  request TEXT UNIQUE
);
CREATE INDEX IF NOT EXISTS remarks_by_slide ON remarks (slide, seq);
CREATE TRIGGER IF NOT EXISTS remarks_stay BEFORE UPDATE ON remarks
  BEGIN SELECT RAISE(ABORT, 'remarks are only ever added'); END;
CREATE TRIGGER IF NOT EXISTS remarks_are_kept BEFORE DELETE ON remarks
  BEGIN SELECT RAISE(ABORT, 'remarks are only ever added'); END;
"""
_REMARK_COLUMNS = "slide, figure, kind, value, reviewer, time, request"
_COLUMNS = "slide, figure, state, label, x_px, y_px, score, reviewer, time, request"


class State(StrEnum):
    """Kind of decision. ``UNDONE`` cancels the reviewer's last decision about the figure.

    ``COMPLETE`` is about a whole slide: the reviewer examined all of it.
    """

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    RELABELLED = "relabelled"
    ADDED = "added"
    UNDONE = "undone"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Decision:
    """One row: a decision of ``reviewer`` about a figure, and the figure's label after it.

    ``request`` identifies the request; repeating it adds no second decision. ``seq`` is assigned
    by the store and increases with every decision.
    """

    slide: str
    figure: str
    state: State
    reviewer: str
    label: Label | None = None
    x_px: float | None = None
    y_px: float | None = None
    score: float | None = None
    time: str = ""
    request: str | None = None
    seq: int = 0


class RemarkKind(StrEnum):
    """Kind of remark. ``THRESHOLD``, ``ASSIGNED`` and ``VIEWED`` are about a whole slide.

    ``ATYPICAL`` says whether the reader calls a mitotic figure atypical: "yes", "no" or "".
    ``VIEWED`` is a grid of the areas that a reader viewed at 10x or more.
    """

    COMMENT = "comment"
    ATYPICAL = "atypical"
    THRESHOLD = "threshold"
    ASSIGNED = "assigned"
    VIEWED = "viewed"


@dataclass(frozen=True, slots=True)
class Remark:
    """One row of the remarks: a comment on a figure, whether it is atypical, a reader's threshold,
    or the assigned reader."""

    slide: str
    figure: str
    kind: RemarkKind
    value: str
    reviewer: str
    time: str = ""
    request: str | None = None
    seq: int = 0


class StoreError(InputError):
    """The review store cannot be read or written."""


_WAYS_OUT = (
    ("full", "free some space on the disk; nothing that was acknowledged is lost"),
    ("I/O error", "check the disk and its free space; nothing that was acknowledged is lost"),
    ("malformed", "restore a copy of the file, or recover its rows with: sqlite3 FILE .recover"),
    ("not a database", "restore a copy of the file, or name another file with --store"),
    ("readonly", "make the file and its folder writable, or name another file with --store"),
    ("locked", "end the other program that holds the file"),
)


class ReviewStore:
    """Decisions and remarks on disk. Thread-safe; several processes may use one file."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                check_regular(self.path)
            self._db = sqlite3.connect(
                self.path, timeout=30, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise
        except (sqlite3.Error, OSError, ValueError) as error:  # a ValueError for a name with NUL
            raise StoreError.of(
                self.path,
                f"cannot be used as the review store: {error}",
                way_out=_way_out(error, "name another file with --store"),
            ) from error

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        with self._transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if version == 0 and tables == 0:
                for statement in _statements(_SCHEMA):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version={VERSION}")
            elif version != VERSION:
                raise sqlite3.DatabaseError("it is not a review store of this version")
            for statement in _statements(_REMARKS):  # files of version 0.1 have no remarks
                self._db.execute(statement)
        damage = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise sqlite3.DatabaseError(f"it is malformed: {' '.join(damage.split())}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # some errors have ended the transaction already
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _access(self) -> Iterator[None]:
        """Hold the lock; turn errors of SQLite into StoreError."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise StoreError.of(
                    self.path, f"the review store failed: {error}", way_out=_way_out(error)
                ) from error

    def add(self, decision: Decision) -> int:
        """Append a decision; return its sequence number once it is on disk."""
        time = decision.time or datetime.now(UTC).isoformat(timespec="milliseconds")
        values = (
            *(decision.slide, decision.figure, str(decision.state)),
            None if decision.label is None else str(decision.label),
            *(decision.x_px, decision.y_px, decision.score, decision.reviewer, time),
            decision.request,
        )
        return self._append("decisions", _COLUMNS, values, decision.request)

    def add_remark(self, remark: Remark) -> int:
        """Append a remark; return its sequence number once it is on disk."""
        time = remark.time or datetime.now(UTC).isoformat(timespec="milliseconds")
        values = (
            *(remark.slide, remark.figure, str(remark.kind), remark.value),
            *(remark.reviewer, time, remark.request),
        )
        return self._append("remarks", _REMARK_COLUMNS, values, remark.request)

    def _append(
        self, table: str, columns: str, values: tuple[object, ...], request: str | None
    ) -> int:
        marks = ", ".join("?" * len(values))
        with self._access(), self._transaction():
            self._db.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({marks})"
                " ON CONFLICT (request) DO NOTHING",
                values,
            )
            row = self._db.execute(
                f"SELECT seq FROM {table} WHERE request = ?"
                if request
                else "SELECT last_insert_rowid()",
                (request,) if request else (),
            ).fetchone()
        return int(row[0])

    def since(self, slide: str, seq: int = 0) -> list[Decision]:
        """Return the decisions about a slide after a sequence number, oldest first."""
        rows = self._since("decisions", _COLUMNS, slide, seq)
        return [self._read(_decision, row) for row in rows]

    def remarks_since(self, slide: str, seq: int = 0) -> list[Remark]:
        """Return the remarks about a slide after a sequence number, oldest first."""
        rows = self._since("remarks", _REMARK_COLUMNS, slide, seq)
        return [self._read(_remark, row) for row in rows]

    def _since(self, table: str, columns: str, slide: str, seq: int) -> list[tuple[object, ...]]:
        with self._access():
            return self._db.execute(
                f"SELECT {columns}, seq FROM {table} WHERE slide = ? AND seq > ? ORDER BY seq",
                (slide, seq),
            ).fetchall()

    def _read(self, make: Callable[[tuple[object, ...]], _Row], row: tuple[object, ...]) -> _Row:
        try:
            return make(row)
        except ValueError as error:
            raise StoreError.of(
                self.path,
                f"has a row that no version of metaphase wrote: {error}",
                record=f"row {row[-1]}",
                way_out=dict(_WAYS_OUT)["malformed"],
            ) from error

    def reviewers(self) -> list[str]:
        """Return the names of all reviewers, sorted."""
        with self._access():
            rows = self._db.execute("SELECT DISTINCT reviewer FROM decisions ORDER BY 1").fetchall()
        return [str(row[0]) for row in rows]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


def _decision(row: tuple[object, ...]) -> Decision:
    slide, figure, state, label, x, y, score, reviewer, time, request, seq = row
    return Decision(
        slide=str(slide),
        figure=str(figure),
        state=State(str(state)),
        reviewer=str(reviewer),
        label=None if label is None else Label(str(label)),
        x_px=_number(x),
        y_px=_number(y),
        score=_number(score),
        time=str(time),
        request=None if request is None else str(request),
        seq=int(str(seq)),
    )


def _number(value: object) -> float | None:
    """Return a number of a row; SQLite keeps text and bytes in its columns too."""
    number = position(value)
    if number is None and value is not None:
        raise ValueError(f"{shown(value)} is not a number")
    return number


def _remark(row: tuple[object, ...]) -> Remark:
    slide, figure, kind, value, reviewer, time, request, seq = row
    return Remark(
        slide=str(slide),
        figure=str(figure),
        kind=RemarkKind(str(kind)),
        value=str(value),
        reviewer=str(reviewer),
        time=str(time),
        request=None if request is None else str(request),
        seq=int(str(seq)),
    )


def _way_out(error: Exception, otherwise: str = "") -> str:
    return next((way for word, way in _WAYS_OUT if word in str(error)), otherwise)


def _statements(script: str) -> Iterator[str]:
    """Split a script, to run it inside a transaction (executescript would end it)."""
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield text
            text = ""
