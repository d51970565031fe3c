"""The cores that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from metaphase.detection.cores import has_bf16, physical_cores


def test_cores_are_those_of_this_process() -> None:
    cores = physical_cores()
    assert 1 <= cores <= (os.cpu_count() or 1)
    if hasattr(os, "sched_setaffinity"):
        allowed = os.sched_getaffinity(0)
        try:
            os.sched_setaffinity(0, {min(allowed)})
            assert physical_cores() == 1
        finally:
            os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 8), ("150000 100000", 1), ("x", 8)])
def test_the_quota_of_a_container_counts(
    monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)

    def read(path: Path, *options: str, **more: str) -> str:
        if path.name == "cpu.max":
            return quota
        raise OSError

    monkeypatch.setattr(Path, "read_text", read)
    assert physical_cores() == cores


@pytest.mark.parametrize(
    ("text", "has"), [("flags : sse amx_bf16", True), ("flags : sse avx2", False), (None, None)]
)
def test_bfloat16_is_read_from_the_processor(
    monkeypatch: pytest.MonkeyPatch, text: str | None, has: bool | None
) -> None:
    def read(path: Path, *options: str, **more: str) -> str:
        if text is None:
            raise OSError
        return text

    monkeypatch.setattr(Path, "read_text", read)
    assert has_bf16() is has
