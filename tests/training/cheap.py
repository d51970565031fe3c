"""Trainings that take seconds: a smaller body of the networks, and graphs that are exported once.

What is tested with them is the run (data, checkpoints, files, resuming), not the network: those of
full size and their export are tested in ``tests/models`` and ``tests/training/test_learning.py``.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import timm
import torch
from timm.models import efficientnet

CHANNELS, DEPTH = 0.25, 0.2


def small_lite(name: str, **options: Any) -> Any:
    """Return EfficientNet-Lite with one block a stage and a quarter of the channels."""
    return efficientnet._gen_efficientnet_lite(
        "efficientnet_lite0", channel_multiplier=CHANNELS, depth_multiplier=DEPTH, **options
    )


@contextmanager
def small_networks() -> Iterator[None]:
    """Build networks with the small body. Their weights fit no published file."""
    with mock.patch.object(timm, "create_model", small_lite):
        yield


@contextmanager
def kept_graphs(folder: Path) -> Iterator[None]:
    """Export each kind of network once; later ones get its graph with their own weights.

    ``export_onnx`` compares every graph with PyTorch, so a wrong one is found.
    """
    export = torch.onnx.export
    folder.mkdir(parents=True, exist_ok=True)

    def exported(network: Any, example: Any, path: str, **options: Any) -> None:
        text = f"{type(network).__name__} {network} {network.input} {network.head}"
        kept = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.onnx"
        if not kept.is_file():
            export(network, example, path, **{**options, "optimize": False})
            if with_weights(onnx.load(path), network) is not None:
                part = kept.with_suffix(f".{os.getpid()}")
                shutil.copyfile(path, part)
                part.replace(kept)
            return
        graph = with_weights(onnx.load(kept), network)
        assert graph is not None
        Path(path).write_bytes(graph.SerializeToString())

    with mock.patch.object(torch.onnx, "export", exported):
        yield


def with_weights(graph: Any, network: Any) -> Any:
    """Put a network's weights into a graph by their names; None where one is not in the graph."""
    tensors = {tensor.name: tensor for tensor in graph.graph.initializer}
    for name, value in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        tensor = tensors.get(name)
        array = np.ascontiguousarray(value.detach().cpu().numpy())
        if tensor is None or tuple(tensor.dims) != array.shape:
            return None
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, name))
    return graph
