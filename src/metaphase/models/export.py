"""From a PyTorch network to an ONNX graph that gives the same maps.

The input of the graph is ``tiles``, uint8 RGB [n, h, w, 3]. Batch, height and width are dynamic;
for a "window" network only the batch is. The outputs are ``logits_0, geometry_0, logits_1, ...`` in
float32, as ``models/card.py`` describes.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metaphase.errors import MissingExtraError, ModelFileError
from metaphase.files import write_bytes

if TYPE_CHECKING:
    from metaphase.models.card import HeadSpec
    from metaphase.models.networks.base import Network

INPUT_NAME = "tiles"
OPSET = 18
TOLERANCE = 1e-2
"""Largest difference of a logit allowed between PyTorch and the graph (0.0025 in score)."""


def output_names(head: HeadSpec) -> list[str]:
    """Return the names of the output maps of a head, in order."""
    maps = ("logits",) if head.kind == "window" else ("logits", "geometry")
    return [f"{name}_{level}" for level in range(len(head.levels)) for name in maps]


def export_onnx(network: Network, path: str | Path, *, check: bool = True) -> Path:
    """Write a network as ONNX and, with ``check``, compare its maps with PyTorch's on random tiles.

    The network's training or evaluation mode is restored. Raises ModelFileError where the maps
    differ by more than ``TOLERANCE``.
    """
    path = Path(path)
    training = network.training
    network.eval()
    try:
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "model.onnx"
            _export(network, raw)
            data = raw.read_bytes()
        if check:
            check_graph(network, data, path)
    finally:
        network.train(training)
    write_bytes(path, data)
    return path


def _export(network: Network, path: Path) -> None:
    import torch

    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("train", "writing ONNX") from error
    side = network.input.tile_px
    device = next(network.parameters()).device
    example = torch.zeros(2, side, side, 3, dtype=torch.uint8, device=device)
    multiple = network.input.multiple_px
    dynamic: dict[int, Any] = {0: torch.export.Dim("n", min=1)}
    if network.head.kind != "window":  # a window has one size
        rows, columns = (torch.export.Dim(name, min=1) for name in ("rows", "columns"))
        dynamic |= {1: multiple * rows, 2: multiple * columns}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the exporter concern its own code
        torch.onnx.export(
            network,
            (example,),
            str(path),
            input_names=[INPUT_NAME],
            output_names=output_names(network.head),
            opset_version=OPSET,
            dynamo=True,
            dynamic_shapes={"images": dynamic},
            external_data=False,
            optimize=True,
            verbose=False,
        )


def check_graph(network: Network, data: bytes, path: Path) -> None:
    """Compare a graph with PyTorch on two tile sizes and batches.

    The network is in evaluation mode. Raises ModelFileError where the maps differ by more than
    ``TOLERANCE``; ``path`` is the file that it names.
    """
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    side, multiple = network.input.tile_px, network.input.multiple_px
    device = next(network.parameters()).device
    other = (side, side) if network.head.kind == "window" else (multiple, multiple * 2)
    for n, (height, width) in ((1, (side, side)), (2, other)):
        tiles = random.integers(0, 256, (n, height, width, 3), dtype=np.uint8)
        with torch.inference_mode():
            maps = network(torch.from_numpy(tiles).to(device))
        expected = [m.float().cpu().numpy() for m in maps]
        actual: list[Any] = session.run(None, {INPUT_NAME: tiles})
        for name, a, b in zip(output_names(network.head), expected, actual, strict=True):
            worst = float(np.abs(a - b).max()) if a.shape == b.shape else np.inf
            if not worst <= TOLERANCE:
                raise ModelFileError.of(
                    path,
                    f"the map differs from PyTorch's by {worst:.3g} (shape {b.shape})",
                    record=name,
                    way_out="this is a fault of the exporter: please report it",
                )
