"""Python's search for reference cycles is paused while many records are read."""

from __future__ import annotations

import gc

import pytest

from metaphase.exchange.read import read_detections
from metaphase.garbage import paused_collection
from metaphase.labels.read import read_labels


def test_it_is_paused_in_the_block_and_goes_on_after_an_error() -> None:
    assert gc.isenabled()
    states = []

    @paused_collection()
    def fail() -> None:
        states.append(gc.isenabled())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert states == [False]
    assert gc.isenabled()


def test_blocks_inside_each_other_and_what_a_user_switched_off() -> None:
    gc.disable()
    try:
        with paused_collection(), paused_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("read", [read_labels, read_detections])
def test_readers_pause_it(read, tmp_path, monkeypatch) -> None:
    states = []
    monkeypatch.setattr(
        "metaphase.csvfile.read_text", lambda *_, **__: states.append(gc.isenabled()) or "x"
    )
    path = tmp_path / "figures.csv"
    path.write_text("case,x_px,y_px\na,1,2\n")
    with pytest.raises(Exception, match="columns"):
        read(path, mpp=0.25)
    assert states
    assert not any(states)
    assert gc.isenabled()
