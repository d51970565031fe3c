from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from metaphase.slides.segments import SegmentCache, SharedFile, shared_cache


def piece(value: int, size: int = 100) -> np.ndarray:
    return np.full((1, size, 1), value, np.uint8)


def test_what_was_used_last_is_kept_within_the_limit() -> None:
    cache = SegmentCache(300)
    for key in (1, 2, 3, 1, 4):
        cache.get(key, lambda key=key: piece(key))  # type: ignore[misc]
    assert cache.bytes == 300
    calls: list[int] = []
    for key in (1, 3, 4, 2):
        cache.get(key, lambda key=key: calls.append(key) or piece(key))  # type: ignore[misc,func-returns-value]
    assert calls == [2]


def test_what_is_larger_than_the_cache_is_returned_but_not_kept() -> None:
    cache = SegmentCache(50)
    assert cache.get(1, lambda: piece(7)).max() == 7
    assert cache.bytes == 0


def test_two_threads_decode_once() -> None:
    cache = SegmentCache()
    started = threading.Barrier(4)
    calls = []

    def decode() -> np.ndarray:
        calls.append(1)
        threading.Event().wait(0.05)
        return piece(9)

    def work(_: int) -> int:
        started.wait()
        return int(cache.get("key", decode).max())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [9] * 4
    assert len(calls) == 1


def test_a_failure_is_not_kept() -> None:
    cache = SegmentCache()

    def fail() -> np.ndarray:
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        cache.get(1, fail)
    assert cache.get(1, lambda: piece(3)).max() == 3


def test_an_owners_segments_are_dropped() -> None:
    cache = SegmentCache()
    for owner in (1, 2):
        cache.get((owner, 0), lambda: piece(0))
    cache.drop(1)
    assert cache.bytes == 100


def test_one_cache_a_process() -> None:
    assert shared_cache() is shared_cache()


def test_shared_files_read_anywhere_and_end_quietly(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(range(100)))
    file = SharedFile(path)
    assert file.size == 100
    assert file.read(10, 3) == bytes([10, 11, 12])
    assert file.read(98, 10) == bytes([98, 99])
