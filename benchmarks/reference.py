"""The compact network on its fastest CPU runtime, against torchvision's detectors in eager PyTorch.

RetinaNet with ResNet-50 (v2), and FCOS with ResNet-18, the network of the 2025 reference command
line: float32, the same tiles and overlap, without torchvision's resize to 800 px, with
post-processing on both sides, throughput on all cores. Eager PyTorch uses all cores for one tile
after the other, metaphase's runtimes one core for each tile. Random weights: speed does not depend
on them. Runtimes with lower precision (bf16, int8) are separate rows. The second stage is not
included (``endtoend`` measures its share).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.runtimes import open_all, some_tiles
from benchmarks.scene import Row, seconds_of, the_model
from metaphase.detection.cores import physical_cores
from metaphase.detection.decode import decode
from metaphase.detection.prefetch import prefetch
from metaphase.detection.runtime import Runtime
from metaphase.models.modelfile import Model

ROUNDS = {"tiny": 1, "small": 3, "large": 10}
TILES = {"tiny": 1, "small": 6, "large": 16}
TARGETS = {"retinanet_resnet50_fpn_v2": 40.0, "FCOS-ResNet-18": 50.0}


def rows(size: str = "small", model: str | None = None) -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        compact = the_model(Path(folder) / "model", model)
        opened, _ = open_all(compact, Path(folder))
        tiles = some_tiles(compact.card.input.tile_px, TILES[size])
        calls = {name: _ours(runtime, compact) for name, runtime in opened.items()}
        theirs = {name: _theirs(make(tiles.shape[1])) for name, make in NETWORKS.items()}
        seconds = _in_turns({**calls, **theirs}, tiles, ROUNDS[size])
    exact = min((n for n in opened if "fp32" in n), key=seconds.__getitem__)
    for reference, target in TARGETS.items():
        for name in sorted((n for n in opened if n == exact or "fp" not in n), key=seconds.get):
            ratio = seconds[reference] / seconds[name]
            against = f"{reference}: {1000 * seconds[reference]:.0f} ms; target {target:.0f}"
            measured = f"{1000 * seconds[name]:.1f} ms a tile"
            yield f"compact, {name}", measured, against, f"{ratio:.1f}"


Call = Callable[[np.ndarray], Any]
"""Looks at tiles [n, h, w, 3], all of them."""


def _in_turns(calls: dict[str, Call], tiles: np.ndarray, rounds: int) -> dict[str, float]:
    for call in calls.values():
        call(tiles[:1])
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds_of(lambda call=call: call(tiles)) / len(tiles))
    return {name: float(np.median(each)) for name, each in times.items()}


def _ours(runtime: Runtime, model: Model) -> Call:
    head = model.card.head

    def one(tile: np.ndarray) -> Any:
        return decode(runtime.run(tile[None]), head, min_score=0.05)

    streams = runtime.streams
    return lambda tiles: list(prefetch(one, tiles, workers=streams, depth=2 * streams))


def _theirs(network: Any) -> Call:
    import torch

    def run(tiles: np.ndarray) -> Any:
        torch.set_num_threads(physical_cores())
        with torch.inference_mode():
            return [
                network([torch.from_numpy(tile).permute(2, 0, 1).float() / 255]) for tile in tiles
            ]

    return run


def retinanet(side: int) -> Any:
    """Return torchvision's RetinaNet, two classes with background, for tiles as they are."""
    from torchvision.models.detection import retinanet_resnet50_fpn_v2

    return retinanet_resnet50_fpn_v2(
        weights=None, weights_backbone=None, num_classes=2, min_size=side, max_size=side
    ).eval()


def fcos(side: int) -> Any:
    """Return torchvision's FCOS on a ResNet-18 with feature pyramid."""
    from torchvision.models.detection import FCOS
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    backbone = resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, trainable_layers=5, returned_layers=[2, 3, 4]
    )
    sizes = tuple((8 * 2**level,) for level in range(4))
    anchors = AnchorGenerator(sizes, ((1.0,),) * len(sizes))
    return FCOS(
        backbone, num_classes=2, anchor_generator=anchors, min_size=side, max_size=side
    ).eval()


NETWORKS: dict[str, Callable[[int], Any]] = {
    "retinanet_resnet50_fpn_v2": retinanet,
    "FCOS-ResNet-18": fcos,
}
