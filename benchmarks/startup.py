"""Start-up: processor time of a whole process, median of five, compared with Python alone."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator

_RUNS = 5


def rows() -> Iterator[tuple[str, str, str, str]]:
    bare = _cpu(["-c", "pass"])
    for what, arguments in {
        "metaphase --help": ["-m", "metaphase", "--help"],
        "import metaphase": ["-c", "import metaphase"],
    }.items():
        seconds = _cpu(arguments)
        yield what, f"{seconds:.3f} s", f"python: {bare:.3f} s", f"{seconds / bare:.1f}"


def _cpu(arguments: list[str]) -> float:
    return statistics.median(_once(arguments) for _ in range(_RUNS))


def _once(arguments: list[str]) -> float:
    before = os.times()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    user = after.children_user - before.children_user
    return user + after.children_system - before.children_system
