"""Reading ahead: in order, within bounds, and over when it is closed."""

from __future__ import annotations

import threading
import time

import pytest

from metaphase.detection.prefetch import prefetch


def test_results_come_in_the_order_of_the_items():
    def slow_start(i):
        time.sleep(0.02 if i % 5 == 0 else 0)
        return i * i

    assert list(prefetch(slow_start, range(40), workers=4, depth=8)) == [i * i for i in range(40)]


def test_no_more_than_asked_is_done_ahead():
    begun = []
    items = prefetch(begun.append, range(100), workers=2, depth=6)
    for taken in range(1, 20):
        next(items)
        time.sleep(0.002)
        assert len(begun) <= taken + 6
    items.close()


def test_an_error_comes_at_its_turn():
    items = prefetch(lambda i: 1 // (3 - i), range(10), workers=2, depth=5)
    assert [next(items) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_an_error_of_the_items_comes_after_those_before_it():
    def items():
        yield from range(3)
        raise KeyboardInterrupt

    results = prefetch(lambda i: 2 * i, items(), workers=2, depth=5)
    assert [next(results) for _ in range(3)] == [0, 2, 4]
    with pytest.raises(KeyboardInterrupt):
        next(results)


def test_closing_waits_for_what_runs_and_cancels_the_rest():
    begun = []
    gate = threading.Event()

    def wait(i):
        begun.append(i)
        if i:
            gate.wait(5)

    items = prefetch(wait, range(100), workers=1, depth=10)
    next(items)
    threading.Timer(0.05, gate.set).start()
    items.close()
    assert len(begun) <= 2
    assert not [t for t in threading.enumerate() if t.name.startswith("metaphase-ahead")]
