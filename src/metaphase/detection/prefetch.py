"""A mapping over items whose results are computed in background threads before they are needed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def prefetch(
    function: Callable[[A], B], items: Iterable[A], *, workers: int, depth: int
) -> Generator[B, None, None]:
    """Yield ``function(item)`` in the order of the items.

    At most ``depth`` calls are running or finished and not yet taken. The thread that takes the
    results also draws the items. An error, of the function or of the items, is raised in its item's
    place. Closing the generator cancels the calls that have not started and waits for the others.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="metaphase-prefetch") as pool:
        pending: deque[Future[B]] = deque()
        error: BaseException | None = None
        iterator = iter(items)
        try:
            while True:
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                except BaseException as raised:  # after the results that are pending
                    error = raised
                    break
                pending.append(pool.submit(function, item))
                if len(pending) >= depth:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
            if error is not None:
                raise error
        finally:
            for future in pending:
                future.cancel()
