"""The interface of what runs a network: ONNX Runtime, OpenVINO, PyTorch, or one of your own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from metaphase.arrays import Float32Array, Pixels
from metaphase.errors import MetaphaseError, ModelFileError

Maps = list[Float32Array]
"""The output maps of a network, in the order of its card (``models/card.py``)."""

CPU_BATCH = 1
"""Tiles per call on a CPU. With more, feature maps leave the caches and every tile takes longer
(measured for the compact network: 28 ms of CPU with 1, 34 ms with 4)."""

GPU_BATCH = 16

MAX_STREAMS = 8
"""Most tiles in work at a time on a CPU: each takes memory for its feature maps."""


@contextmanager
def graph_errors(model: str | Path) -> Iterator[None]:
    """Turn the errors of a library that runs a model's graph into ModelFileError."""
    try:
        yield
    except (MetaphaseError, MemoryError):
        raise
    except Exception as error:  # the libraries' errors have no base class in common
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelFileError.of(
            model,
            f"its graph cannot be run as its card describes: {reason}",
            way_out="copy the whole folder again, or write or import the model again",
        ) from error


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
