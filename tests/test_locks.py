from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from metaphase.errors import FolderInUseError, InputError
from metaphase.locks import LOCK_NAME, locked_folder, output_folder

HOLD = """
import sys, time
from metaphase.locks import locked_folder
with locked_folder(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of tmp_path / "out"."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_is_made_locked_and_left_clean(tmp_path):
    with locked_folder(tmp_path / "a" / "b") as folder:
        assert folder == tmp_path / "a" / "b"
        assert [path.name for path in folder.iterdir()] == [LOCK_NAME]
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_second_command_is_refused_with_the_owner_named(tmp_path, holder):
    with pytest.raises(FolderInUseError, match=f"process {holder.pid} on") as caught:
        locked_folder(tmp_path / "out").__enter__()
    assert "--out" in caught.value.problems[0].way_out


def test_the_lock_ends_with_a_process_that_is_killed(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "out" / LOCK_NAME).exists()  # left behind, and no hindrance
    with locked_folder(tmp_path / "out"):
        pass
    assert not (tmp_path / "out" / LOCK_NAME).exists()


def test_the_lock_ends_with_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), locked_folder(tmp_path):
        raise ZeroDivisionError
    with locked_folder(tmp_path):
        pass


def test_of_many_threads_one_at_a_time_holds_the_lock(tmp_path):
    holding, most, refused = [0], [0], [0]

    def work() -> None:
        for _ in range(30):
            try:
                with locked_folder(tmp_path):
                    holding[0] += 1
                    most[0] = max(most[0], holding[0])
                    holding[0] -= 1
            except FolderInUseError:
                refused[0] += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert not (tmp_path / LOCK_NAME).exists()


def test_a_damaged_lock_file_is_no_hindrance(tmp_path):
    (tmp_path / LOCK_NAME).write_bytes(b"\xff{")
    with locked_folder(tmp_path):
        pass


@pytest.mark.parametrize("make", [output_folder, lambda path: locked_folder(path).__enter__()])
@pytest.mark.parametrize("place", ["file", "file/below/it", "x\0y", "x" * 300])
def test_what_cannot_be_a_folder_is_told(tmp_path, make, place):
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match="for results") as caught:
        make(tmp_path / place)
    if place.startswith("file"):
        assert "is a file" in str(caught.value)
    assert (tmp_path / "file").read_text() == "here"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_told(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="for results"):
            output_folder(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_a_link_as_lock_file_is_not_followed(tmp_path):
    target = tmp_path / "precious"
    target.write_text("keep")
    out = tmp_path / "out"
    out.mkdir()
    (out / LOCK_NAME).symlink_to(target)
    with pytest.raises(InputError, match="lock file"):
        locked_folder(out).__enter__()
    assert Path(target).read_text() == "keep"


def test_without_locks_in_the_file_system_work_goes_on(tmp_path, monkeypatch):
    import errno

    def unsupported(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("fcntl.flock", unsupported)
    with locked_folder(tmp_path) as folder:
        assert folder.is_dir()


def test_what_a_killed_command_left_is_removed_by_the_next(tmp_path):
    code = "import os, sys; from metaphase.files import whole_file\n"
    code += "with whole_file(sys.argv[1]) as part: part.write_text('half'); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "table.csv")], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".table-")
    (tmp_path / ".hidden.tmp").write_text("of the user")
    with locked_folder(tmp_path):
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".hidden.tmp"]


def test_files_of_a_command_at_work_stay(holder, tmp_path):
    part = tmp_path / "out" / ".table-abcdefgh.tmp.csv"
    part.write_text("half")
    with pytest.raises(FolderInUseError), locked_folder(tmp_path / "out"):
        pass
    assert part.exists()
