"""Nothing is lost: not to tabs at once, not to kill -9."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from metaphase.errors import InputError
from metaphase.figures import Label
from metaphase.viewer.store import Decision, ReviewStore, State


def decision(figure="d1", state=State.CONFIRMED, reviewer="anna", **more):
    return Decision("s", figure, state, reviewer, **{"label": Label.MITOTIC, **more})


def test_what_is_written_is_read_again(tmp_path):
    store = ReviewStore(tmp_path / "r.sqlite")
    given = decision(x_px=1.25, y_px=2.5, score=0.75, request="12345678")
    seq = store.add(given)
    store.close()
    again = ReviewStore(tmp_path / "r.sqlite")
    (row,) = again.since("s")
    assert (row.seq, row.x_px, row.y_px, row.score, row.label) == (
        seq,
        1.25,
        2.5,
        0.75,
        given.label,
    )
    assert row.time.endswith("+00:00")
    assert again.reviewers() == ["anna"]
    assert again.since("s", seq) == again.since("other") == []
    again.close()


def test_decisions_cannot_be_changed_or_deleted(tmp_path):
    store = ReviewStore(tmp_path / "r.sqlite")
    store.add(decision())
    store.close()
    database = sqlite3.connect(tmp_path / "r.sqlite")
    for statement in ("DELETE FROM decisions", "UPDATE decisions SET state = 'rejected'"):
        with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
            database.execute(statement)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_many_writers_over_two_connections_lose_nothing(tmp_path):
    stores = [ReviewStore(tmp_path / "r.sqlite") for _ in range(2)]

    def write(k):
        for i in range(20):
            stores[k % 2].add(decision(f"d{k}_{i}"))

    threads = [threading.Thread(target=write, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = stores[0].since("s")
    assert {row.figure for row in rows} == {f"d{k}_{i}" for k in range(6) for i in range(20)}
    assert [row.seq for row in rows] == sorted({row.seq for row in rows})
    for store in stores:
        store.close()


WRITER = """
import sys
from metaphase.viewer.store import Decision, ReviewStore, State
store = ReviewStore(sys.argv[1])
for i in range(100000):
    store.add(Decision("s", f"d{i}", State.CONFIRMED, "anna"))
    print(i, flush=True)
"""


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path):
    path = tmp_path / "r.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE)
    last = [int(writer.stdout.readline()) for _ in range(25)][-1]
    os.kill(writer.pid, signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.stdout.close()
    writer.wait()
    last = int(rest[-1]) if rest else last
    store = ReviewStore(path)
    figures = [row.figure for row in store.since("s")]
    # One more may have been on its way; none is missing and none is torn.
    assert figures[: last + 1] == [f"d{i}" for i in range(last + 1)]
    assert len(figures) <= last + 2
    store.add(decision("next"))
    store.close()


@pytest.mark.parametrize("content", [b"not a database, but long enough to be taken for one" * 9])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "r.sqlite").write_bytes(content)
    with pytest.raises(InputError, match="--store"):
        ReviewStore(tmp_path / "r.sqlite")


def test_a_foreign_database_is_not_touched(tmp_path):
    database = sqlite3.connect(tmp_path / "r.sqlite")
    database.execute("CREATE TABLE other (x)")
    database.commit()
    database.close()
    with pytest.raises(InputError, match="not a review store"):
        ReviewStore(tmp_path / "r.sqlite")
