"""Work that is done ahead in background threads, in order and within bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def map_ahead(
    function: Callable[[A], B], items: Iterable[A], *, workers: int, ahead: int
) -> Generator[B, None, None]:
    """Yield ``function(item)`` in the order of the items, with up to ``ahead`` done or running.

    The items are drawn only as they are needed, by the thread that asks for results. An error, of
    the function or of the items, is raised at its item's turn; closing the iterator early cancels
    what has not begun and waits for the rest.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="metaphase-ahead") as pool:
        waiting: deque[Future[B]] = deque()
        failed: BaseException | None = None
        drawn = iter(items)
        try:
            while True:
                try:
                    item = next(drawn)
                except StopIteration:
                    break
                except BaseException as error:  # after what was drawn before
                    failed = error
                    break
                waiting.append(pool.submit(function, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
            if failed is not None:
                raise failed
        finally:
            for future in waiting:
                future.cancel()
