"""Tiles, targets and options of small networks."""

from __future__ import annotations

import torch

from metaphase.models.networks.base import Target

COMPACT = {"weights": "none", "width": 16, "depth": 1}
ANCHORS = {**COMPACT, "head": "anchors"}
RETINA = {"weights": "none", "anchors": [[50.0]]}
TRAPPED = {"weights": "none", "anchors": [[4.0], [8.0], [16.0], [32.0], [64.0]]}
TRAPPED |= {"resize": "torchvision", "head": "plain"}


def target(points: list[tuple[float, float]], labels: list[int] | None = None) -> Target:
    """Return figures with boxes of 50 px."""
    where = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    codes = torch.tensor(labels or [0] * len(points), dtype=torch.int64)
    return {"points": where, "boxes": torch.cat([where - 25, where + 25], dim=1), "labels": codes}


def tiles(count: int = 1, side: int = 128) -> torch.Tensor:
    """Return random tiles, the same for the same arguments."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)
