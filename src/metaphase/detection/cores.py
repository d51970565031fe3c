"""How many processor cores this process may use, and whether they compute in bfloat16 or 8 bits."""

from __future__ import annotations

import os
from pathlib import Path

_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}
_INT8_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8"}


def physical_cores() -> int:
    """Return how many physical cores this process may use (at least 1).

    Two threads on the two logical halves of a core share its vector units: networks get slower.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if allowed is None:
        return max(1, os.cpu_count() or 1)
    cores = set()
    for cpu in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(siblings.read_text().strip())
        except OSError:
            cores.add(str(cpu))
    return max(1, min(len(cores), _container_quota(len(cores))))


def has_bf16() -> bool | None:
    """Return whether the processor has bfloat16 instructions, None where it cannot be read."""
    return _has(_BF16_FLAGS)


def has_int8() -> bool | None:
    """Return whether the processor has instructions for sums of 8-bit products; None as above."""
    return _has(_INT8_FLAGS)


def _has(wanted: set[str]) -> bool | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return None
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return bool(flags & wanted)


def _container_quota(default: int) -> int:
    """Return the cores that the quota of a container allows (cgroup v2)."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return default if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return default
