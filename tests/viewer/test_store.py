"""Nothing is lost: not to tabs at once, not to kill -9."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from metaphase.errors import InputError
from metaphase.figures import Label
from metaphase.viewer.store import (
    Decision,
    Remark,
    RemarkKind,
    ReviewStore,
    State,
    StoreError,
)


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
from metaphase.viewer.store import (
    Decision,
    Remark,
    RemarkKind,
    ReviewStore,
    State,
    StoreError,
)
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


FULL = """
import resource, sys
from metaphase.errors import InputError
from metaphase.viewer.store import (
    Decision,
    Remark,
    RemarkKind,
    ReviewStore,
    State,
    StoreError,
)

store = ReviewStore(sys.argv[1])
for i in range(20):
    store.add(Decision("s", f"d{i}", State.CONFIRMED, "anna"))
size = 64 * 1024  # of any file from here on, as if the disk was full
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
written = 20
try:
    for i in range(20, 10_000):
        store.add(Decision("s", f"d{i}", State.CONFIRMED, "anna" * 50))
        written += 1
except InputError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, before)
store.add(Decision("s", "after", State.CONFIRMED, "anna"))
figures = [row.figure for row in store.since("s")]
assert figures == [f"d{i}" for i in range(written)] + ["after"], (written, figures[-3:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of file sizes")
def test_a_full_disk_is_reported_and_loses_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "r.sqlite"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "r.sqlite: the review store failed" in done.stdout
    assert "free space" in done.stdout or "free some space" in done.stdout


def filled(path, rows=300):
    store = ReviewStore(path)
    for i in range(rows):
        store.add(decision(f"d{i}"))
    store.close()


def test_a_damaged_store_is_refused_when_it_is_opened(tmp_path):
    path = tmp_path / "r.sqlite"
    filled(path)
    data = bytearray(path.read_bytes())
    data[4096:8192] = b"\xff" * 4096
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"r\.sqlite.* malformed.*recover"):
        ReviewStore(path)
    assert path.read_bytes() == data


def test_a_truncated_store_is_refused(tmp_path):
    path = tmp_path / "r.sqlite"
    filled(path)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(StoreError, match=r"r\.sqlite"):
        ReviewStore(path)


def test_a_store_that_is_damaged_while_it_is_open_is_reported(tmp_path):
    path = tmp_path / "r.sqlite"
    store = ReviewStore(path)
    database = sqlite3.connect(path)
    database.execute("DROP TABLE decisions")
    database.commit()
    database.close()
    with pytest.raises(StoreError, match="the review store failed"):
        store.add(decision())
    with pytest.raises(StoreError, match="the review store failed"):
        store.since("s")
    store.close()


def test_rows_of_other_programs_are_reported(tmp_path):
    path = tmp_path / "r.sqlite"
    store = ReviewStore(path)
    database = sqlite3.connect(path)
    database.execute(
        "INSERT INTO decisions (slide, figure, state, reviewer, time)"
        " VALUES ('s', 'd1', 'perhaps', 'anna', '')"
    )
    database.commit()
    database.close()
    with pytest.raises(StoreError, match=r"row 1: .*perhaps"):
        store.since("s")
    assert store.since("other") == []
    store.close()


def test_a_store_of_version_0_1_is_read_and_gets_remarks(tmp_path):
    path = tmp_path / "r.sqlite"
    database = sqlite3.connect(path)
    database.executescript(
        "CREATE TABLE decisions (seq INTEGER PRIMARY KEY AUTOINCREMENT, slide TEXT NOT NULL,"
        " figure TEXT NOT NULL, state TEXT NOT NULL, label TEXT, x_px REAL, y_px REAL, score REAL,"
        " reviewer TEXT NOT NULL, time TEXT NOT NULL, request TEXT UNIQUE);"
        "INSERT INTO decisions (slide, figure, state, label, reviewer, time)"
        " VALUES ('s', 'd1_1_0', 'confirmed', 'mitotic figure', 'anna', '2026-01-01');"
        "PRAGMA user_version=1; PRAGMA journal_mode=WAL;"
    )
    database.close()
    store = ReviewStore(path)
    assert [d.figure for d in store.since("s")] == ["d1_1_0"]
    remark = Remark("s", "d1_1_0", RemarkKind.COMMENT, "seen", "anna", request="12345678")
    assert store.add_remark(remark) == store.add_remark(remark)
    assert [r.value for r in store.remarks_since("s")] == ["seen"]
    store.close()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_named_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="named pipe"):
        ReviewStore(tmp_path / "pipe")


@pytest.mark.parametrize("value", ["text", b"bytes", 1e300])
def test_a_row_with_a_position_that_is_none_is_named(tmp_path, value):
    path = tmp_path / "r.sqlite"
    store = ReviewStore(path)
    store.add(decision(x_px=1.0, y_px=2.0))
    store.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP TRIGGER decisions_stay")
        database.execute("UPDATE decisions SET x_px = ?", (value,))
    store = ReviewStore(path)
    with pytest.raises(StoreError, match="row 1: has a row that no version of metaphase wrote"):
        store.since("s")
    store.close()


def test_a_file_that_is_refused_is_not_held(tmp_path):
    path = tmp_path / "r.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE other (a)")
    with pytest.raises(StoreError, match="not a review store"):
        ReviewStore(path)
    with closing(sqlite3.connect(path, timeout=0)) as database:
        database.execute("BEGIN EXCLUSIVE")
