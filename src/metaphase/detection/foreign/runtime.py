"""Runs an imported graph: makes its input of tiles, and collects the outputs that are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from metaphase.arrays import Float32Array, Pixels
from metaphase.detection.foreign.tileinput import graph_input
from metaphase.detection.runtimebase import Maps, Runtime, graph_errors
from metaphase.models.foreign import ForeignGraph

FILLER = -1.0
"""Fills rows of tiles that have fewer detections than others: a score that no detection has."""


class ForeignRuntime(Runtime):
    """Feeds a graph with the tiles that the card describes.

    It is called with as many tiles as the graph takes, whatever the batch of the pipeline: one, for
    a graph that takes any number. So the batch changes no result.
    """

    def __init__(self, graph: Runtime, foreign: ForeignGraph) -> None:
        self._graph, self._input, self._output = graph, foreign.input, foreign.output
        self.name, self.precision = graph.name, graph.precision
        self.streams = graph.streams
        self.batch = max(foreign.input.batch, 1)

    def run(self, tiles: Pixels) -> Maps:
        """Return the outputs that are decoded, each with the tiles as first axis."""
        size = self._input.batch
        with graph_errors("the imported graph"):
            parts = [self._run(tiles[i : i + size]) for i in range(0, len(tiles), size)]
            return [_join([part[i] for part in parts]) for i in range(len(self._output.names))]

    def _run(self, tiles: Pixels) -> list[Float32Array]:
        count = len(tiles)
        short = self._input.batch - count
        if short:
            tiles = np.concatenate([tiles, np.repeat(tiles[-1:], short, axis=0)])
        values: Any = graph_input(tiles, self._input)
        outputs = self._graph.run(values)
        chosen = zip(self._output.positions, self._output.batched, strict=True)
        return [outputs[i][:count] if batched else outputs[i][None] for i, batched in chosen]


def _join(parts: Sequence[Float32Array]) -> Float32Array:
    """Join arrays along their first axis; shorter ones are filled up."""
    if len(parts) == 1:
        return parts[0]
    sides = np.max([part.shape[1:] for part in parts], axis=0)
    filled = [
        np.pad(
            part,
            [(0, 0), *((0, int(m - n)) for m, n in zip(sides, part.shape[1:], strict=True))],
            constant_values=FILLER,
        )
        for part in parts
    ]
    return np.concatenate(filled)
