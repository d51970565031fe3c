"""Run the suite in two processes side by side: most tests that take long keep one core busy.

    python -m tests.beside [arguments of pytest]

Each process collects everything and takes a file of tests when it is free, so that none waits for
the other. What the second one printed follows the first one's output; the exit code is that of
whichever failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

CLAIMS = "METAPHASE_TEST_CLAIMS"
"""The folder in which a file of tests is taken; absent: all tests are run."""
PROCESSES = 2
_NO_TESTS = int(pytest.ExitCode.NO_TESTS_COLLECTED)


def run_files(session: pytest.Session, claims: Path) -> None:
    """Run the tests of those files that no other process has taken, those of training first."""
    if session.testsfailed:  # files that cannot be imported
        raise session.Interrupted(f"{session.testsfailed} errors during collection")
    todo = _claimed(session, claims)
    item = next(todo, None)
    while item is not None:
        # Fixtures live as long as the next test needs them, so it is taken before this one is run.
        following = next(todo, None)
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following


def _claimed(session: pytest.Session, claims: Path) -> Iterator[pytest.Item]:
    files = [(path, list(items)) for path, items in groupby(session.items, lambda i: i.path)]
    for number, (_, items) in sorted(enumerate(files), key=lambda f: _late(f[1][0])):
        try:
            (claims / str(number)).touch(exist_ok=False)
        except FileExistsError:
            continue
        yield from items


def _late(path: Path) -> bool:
    """Tell what is better left to the end: all that is short."""
    return "training" not in path.parts


def main(words: list[str]) -> int:
    """Run pytest side by side with itself and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="metaphase-tests-") as name:
        folder = Path(name)
        claims = folder / "claims"
        claims.mkdir()
        env = os.environ | {CLAIMS: str(claims), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "pytest", *words]
        running = [subprocess.Popen(command, env=env)]
        outputs = []
        for n in range(1, PROCESSES):
            outputs.append(folder / f"{n}.txt")
            with outputs[-1].open("wb") as stream:
                other = subprocess.Popen(command, env=env, stdout=stream, stderr=subprocess.STDOUT)
            running.append(other)
        try:
            codes = [process.wait() for process in running]
        finally:
            for process in running:
                process.kill()
                process.wait()
            for output in outputs:
                sys.stdout.write(output.read_text(encoding="utf-8", errors="replace"))
                sys.stdout.flush()
    some = [code for code in codes if code != _NO_TESTS]
    return max(map(abs, some), default=_NO_TESTS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
