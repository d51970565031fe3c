"""Fewer memory pools of the C library, for a process with many threads.

The allocator of glibc gives each thread a pool of its own (arena), up to eight for each core. Image
data that several threads take and free leave holes in all of them: detection in a large slide took
a third more memory than it used. With two pools it takes no more time.
"""

from __future__ import annotations

import os
import sys

POOLS = 2
_M_ARENA_MAX = -8  # of malloc.h


def limit_pools() -> bool:
    """Limit the pools of this process; return whether the C library has done so.

    ``MALLOC_ARENA_MAX`` in the environment has precedence. Other C libraries than glibc have no
    such pools.
    """
    if sys.platform != "linux" or "MALLOC_ARENA_MAX" in os.environ:
        return False
    import ctypes

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_ARENA_MAX, POOLS))
