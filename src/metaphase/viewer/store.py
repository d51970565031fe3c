"""The review store: an SQLite table to which decisions are appended and never changed.

A decision is on disk before it is acknowledged (WAL with full sync), so that none is lost when the
process is killed or several processes write at once. Undoing appends a decision too.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from metaphase.errors import InputError
from metaphase.figures import Label

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


class ReviewStore:
    """Decisions on disk. Thread-safe; several processes may use one file."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                self.path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            raise InputError.of(
                self.path,
                f"cannot be used as the review store: {error}",
                way_out="name another file with --store",
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

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add(self, decision: Decision) -> int:
        """Append a decision; return its sequence number once it is on disk."""
        time = decision.time or datetime.now(UTC).isoformat(timespec="milliseconds")
        values = (
            *(decision.slide, decision.figure, str(decision.state)),
            None if decision.label is None else str(decision.label),
            *(decision.x_px, decision.y_px, decision.score, decision.reviewer, time),
            decision.request,
        )
        marks = ", ".join("?" * len(values))
        with self._lock, self._transaction():
            self._db.execute(
                f"INSERT INTO decisions ({_COLUMNS}) VALUES ({marks})"
                " ON CONFLICT (request) DO NOTHING",
                values,
            )
            row = self._db.execute(
                "SELECT seq FROM decisions WHERE request = ?"
                if decision.request
                else "SELECT last_insert_rowid()",
                (decision.request,) if decision.request else (),
            ).fetchone()
        return int(row[0])

    def since(self, slide: str, seq: int = 0) -> list[Decision]:
        """Return the decisions about a slide after a sequence number, oldest first."""
        with self._lock:
            rows = self._db.execute(
                f"SELECT {_COLUMNS}, seq FROM decisions WHERE slide = ? AND seq > ? ORDER BY seq",
                (slide, seq),
            ).fetchall()
        return [_decision(row) for row in rows]

    def reviewers(self) -> list[str]:
        """Return the names of all reviewers, sorted."""
        with self._lock:
            rows = self._db.execute("SELECT DISTINCT reviewer FROM decisions ORDER BY 1").fetchall()
        return [row[0] for row in rows]

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
        x_px=x,  # type: ignore[arg-type]  # the table's types
        y_px=y,  # type: ignore[arg-type]
        score=score,  # type: ignore[arg-type]
        time=str(time),
        request=None if request is None else str(request),
        seq=int(str(seq)),
    )


def _statements(script: str) -> Iterator[str]:
    """Split a script, to run it inside a transaction (executescript would end it)."""
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            yield text
            text = ""
