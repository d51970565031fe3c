"""Tiles of tissue on which an 8-bit model is calibrated."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from metaphase.detection.inputs import Job
from metaphase.detection.plan import Settings, make_plan
from metaphase.models.modelfile import Model


def calibration_tiles(model: Model, jobs: Sequence[Job], count: int) -> list[NDArray[np.uint8]]:
    """Return up to ``count`` RGB tiles, spread evenly over the tissue of the images.

    Their resolution and size are those at which the model detects.
    """
    each = -(-count // max(1, len(jobs)))
    tiles = (tile for job in jobs for tile in _tiles_of(model, job, each))
    return list(islice(tiles, count))


def _tiles_of(model: Model, job: Job, count: int) -> list[NDArray[np.uint8]]:
    with job.open() as slide:
        plan = make_plan(slide, model, Settings())
        scale, side = plan.grid.scale, plan.grid.tile
        step = max(1, len(plan.tiles) // count)
        corners = [plan.grid.corner(number) for number in plan.tiles[::step][:count].tolist()]
        return [slide.read(x * scale, y * scale, side, side, plan.mpp) for x, y in corners]
