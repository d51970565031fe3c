"""The graph is called with as many tiles as it takes, and the batch changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.detection.foreign.runtime import ForeignRuntime
from metaphase.detection.runtimebase import Runtime
from metaphase.errors import ModelFileError
from metaphase.models.foreign import ForeignInput
from tests.detection.foreign.scene import encode, graph_of


class Counting(Runtime):
    """Returns a row for every dark pixel of each tile: outputs of different lengths."""

    name, precision, streams = "counting", "fp32", 3

    def __init__(self, batched=True):
        self.calls, self.batched = [], batched

    def run(self, tiles):
        self.calls.append(tiles.shape)
        counts = [int((tile[0] < 0.5).sum()) for tile in tiles]
        most = max(counts)
        rows = np.stack([np.full((most, 6), c, np.float32) for c in counts])
        return [np.zeros(3, np.float32), rows if self.batched else rows[0]]


def tiles(*dark):
    made = np.full((len(dark), 32, 32, 3), 255, np.uint8)
    for tile, count in zip(made, dark, strict=True):
        tile.reshape(-1, 3)[:count] = 0
    return made


def runtime(batch, batched=True):
    _, output = encode([], "rows")
    output = output.model_copy(update={"positions": (1,), "batched": (batched,)})
    spec = ForeignInput(layout="nchw", number="float32", width_px=32, height_px=32, batch=batch)
    inner = Counting(batched)
    return inner, ForeignRuntime(inner, graph_of(output, spec))


@pytest.mark.parametrize("batched", [True, False])
def test_one_tile_at_a_time_whatever_the_batch(batched):
    inner, made = runtime(1, batched)
    assert (made.name, made.precision, made.streams, made.batch) == ("counting", "fp32", 3, 1)
    (whole,) = made.run(tiles(2, 5, 0))
    assert inner.calls == [(1, 3, 32, 32)] * 3
    assert whole.shape == (3, 5, 6)
    assert [int((tile[:, 0] >= 0).sum()) for tile in whole] == [2, 5, 0]
    assert (whole[0, 2:] == -1).all()


def test_a_fixed_batch_is_filled_up():
    inner, made = runtime(4)
    assert made.batch == 4
    (whole,) = made.run(tiles(1, 2, 3, 1, 2))
    assert inner.calls == [(4, 3, 32, 32)] * 2
    assert whole[:, 0, 0].tolist() == [1, 2, 3, 1, 2]


def test_a_card_that_names_an_output_that_is_not_there_is_an_error_in_words():
    inner, made = runtime(1)
    inner.run = lambda tiles: [np.zeros(3, np.float32)]
    with pytest.raises(ModelFileError, match="cannot be run as its card describes"):
        made.run(tiles(1))
