"""Fewer memory pools: asked for on Linux alone, and only where the user has not chosen."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from metaphase import allocator

GROW = """
import sys, threading
from pathlib import Path
from metaphase.allocator import limit_pools
if sys.argv[1] == "limited":
    limit_pools()
held = []
all_at_once = threading.Barrier(24)
def take():
    all_at_once.wait()
    held.append([bytearray(60_000) for _ in range(3)])
    all_at_once.wait()
threads = [threading.Thread(target=take) for _ in range(24)]
for thread in threads: thread.start()
for thread in threads: thread.join()
maps = Path("/proc/self/maps").read_text().splitlines()
# A pool begins at a multiple of 64 MiB.
ends = [tuple(int(x, 16) for x in line.split()[0].split("-")) for line in maps]
print(sum(b - a < 64 << 20 and a % (64 << 20) == 0 for a, b in ends))
"""


@pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="glibc alone has pools"
)
def test_threads_share_the_pools() -> None:
    def pools(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", GROW, how], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert pools("limited") < pools("free")


def test_a_choice_in_the_environment_has_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    assert not allocator.limit_pools()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not allocator.limit_pools()
