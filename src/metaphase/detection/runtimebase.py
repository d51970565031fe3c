"""The interface of what runs a network: ONNX Runtime, OpenVINO, PyTorch, or one of your own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from metaphase.arrays import Float32Array, Pixels

Maps = list[Float32Array]
"""The output maps of a network, in the order of its card (``models/card.py``)."""

CPU_BATCH = 1
"""Tiles per call on a CPU. With more, feature maps leave the caches and every tile takes longer
(measured for the compact network: 28 ms of CPU with 1, 34 ms with 4)."""

GPU_BATCH = 16

MAX_STREAMS = 8
"""Most tiles in work at a time on a CPU: each takes memory for its feature maps."""


class Runtime(ABC):
    """Runs a network.

    ``name`` is the library, its version and the device, for the provenance. ``precision`` is that
    of the computation. ``batch`` is the number of tiles per call, and ``streams`` the number of
    threads calling at a time, with which it is fastest. ``second_stage`` runs the network of the
    model's second stage, if it has one; ``atypical`` that for atypical mitotic figures.
    """

    default_batch: ClassVar[int] = 4

    name: str = "unnamed"
    precision: str = "fp32"
    batch: int = default_batch
    streams: int = 1
    second_stage: Runtime | None = None
    atypical: Runtime | None = None

    @abstractmethod
    def run(self, tiles: Pixels) -> Maps:
        """Return the output maps for tiles [n, h, w, 3]. Called from ``streams`` threads."""
