"""Python's search for reference cycles, paused while files of many records are read.

Reading makes millions of small objects and no cycles. The search goes through all of them again
and again, which takes a third of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused_collection() -> Iterator[None]:
    """Pause the search for cycles in a block, or in a function with ``@paused_collection()``."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
