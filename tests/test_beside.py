"""The suite in two processes: every test once, and a failure in either tells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "tests.beside", str(folder), "-p", "tests.conftest", *words]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )


def write(folder: Path, name: str, last: str = "assert True") -> None:
    text = f"""
        import os, time, pathlib
        import pytest

        def note(what):
            with open({str(folder / "log.txt")!r}, "a") as stream:
                stream.write(f"{name} {{what}} {{os.getpid()}}\\n")

        @pytest.fixture(scope="module")
        def shared():
            note("begin")
            yield
            note("end")

        def test_one(shared):
            time.sleep(0.3)
            note("one")

        def test_two(shared):
            note("two")
            {last}
    """
    lines = [line.removeprefix("        ") for line in text.splitlines()]
    (folder / f"test_{name}.py").write_text("\n".join(lines))


def log(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "log.txt").read_text().splitlines()]


def test_every_test_is_run_once_and_a_file_by_one_process(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e"]
    for name in names:
        write(tmp_path, name)
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
    for name in names:
        mine = [row for row in log(tmp_path) if row[0] == name]
        assert [what for _, what, _ in mine] == ["begin", "one", "two", "end"]
        assert len({process for _, _, process in mine}) == 1
    assert done.stdout.count(" passed in ") == len({row[2] for row in log(tmp_path)})


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_failure_in_either_process_tells(tmp_path: Path, name: str) -> None:
    for other in "ab":
        write(tmp_path, other, "assert False" if other == name else "assert True")
    done = run(tmp_path)
    assert done.returncode == 1
    assert "1 failed" in done.stdout


def test_a_file_that_cannot_be_imported_stops_all(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (tmp_path / "test_b.py").write_text("import nothing_like_this\n")
    assert run(tmp_path).returncode == 2


def test_without_tests_the_exit_code_is_pytests(tmp_path: Path) -> None:
    assert run(tmp_path).returncode == 5
