"""Detection end to end, over the pure time of the network on as many tiles.

A synthetic slide: from the file to merged detections, hashing and looking for tissue included. The
network alone is fed tiles of the same slide that are in memory already, before and after.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.scene import Row, seconds_of, the_model, the_slide
from metaphase.detection.decode import decode
from metaphase.detection.detect import detect
from metaphase.detection.plan import Plan, Settings, make_plan
from metaphase.detection.runtime import Runtime, open_runtime
from metaphase.models.modelfile import Model
from metaphase.slides.open import open_slide
from metaphase.slides.slide import Slide

TISSUE_MM2 = {"tiny": 0.3, "small": 6.0, "large": 40.0}
TARGET = 1.10
_DIFFERENT = 64  # tiles that are kept in memory


def rows(size: str = "small", model: str | None = None) -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        opened = the_model(Path(folder) / "model", model)
        path = the_slide(Path(folder), TISSUE_MM2[size])
        runtime = open_runtime(opened)
        with open_slide(path) as slide:
            yield from _measured(slide, opened, runtime)


def _measured(slide: Slide, model: Model, runtime: Runtime) -> Iterator[Row]:
    plan = make_plan(slide, model, Settings())
    tiles = _read(slide, plan)
    _network(runtime, tiles, min(8, len(plan.tiles)))  # the first calls pay for set-up
    network = [seconds_of(lambda: _network(runtime, tiles, len(plan.tiles)))]
    found = []
    whole = seconds_of(lambda: found.append(detect(slide, model, runtime=runtime)))
    network.append(seconds_of(lambda: _network(runtime, tiles, len(plan.tiles))))
    alone = float(np.mean(network))
    area = float(plan.area_px().sum()) * slide.mpp**2 * 1e-6
    what = f"{len(plan.tiles)} tiles, {runtime.name}"
    against = f"network: {alone:.2f} s ({network[0]:.2f}, {network[1]:.2f}); target {TARGET:.2f}"
    yield what, f"{whole:.2f} s", against, f"{whole / alone:.3f}"
    yield "mm2 a second", f"{area / whole:.3f}", f"network: {area / alone:.3f}", "-"
    reading = seconds_of(lambda: _read(slide, plan, everything=True))
    yield "reading alone, one thread", f"{reading:.2f} s", "network", f"{reading / alone:.3f}"
    maps = [runtime.run(tiles[i : i + 1]) for i in range(len(tiles))]
    decoding = seconds_of(
        lambda: [decode(m, model.card.head, min_score=plan.min_score) for m in maps]
    )
    decoding *= len(plan.tiles) / len(maps)
    yield "decoding maps alone", f"{decoding:.2f} s", "network", f"{decoding / alone:.3f}"
    planning = seconds_of(lambda: make_plan(slide, model, Settings()))
    yield "looking for tissue", f"{planning:.2f} s", "network", f"{planning / alone:.3f}"
    yield "detections", f"{len(found[0])}", f"{len(found[0]) / area:.0f} a mm2", "-"


def _read(slide: Slide, plan: Plan, *, everything: bool = False) -> np.ndarray:
    """Return some of the plan's tiles [n, h, w, 3]; or read all and keep none."""
    step = 1 if everything else max(1, len(plan.tiles) // _DIFFERENT)
    kept = []
    for number in plan.tiles[::step].tolist():
        x, y = (at * plan.grid.scale for at in plan.grid.corner(number))
        pixels = slide.read(x, y, plan.grid.tile, plan.grid.tile, plan.mpp)
        if not everything:
            kept.append(pixels)
    return np.stack(kept) if kept else np.zeros(0)


def _network(runtime: Runtime, tiles: np.ndarray, count: int) -> None:
    batch = int(getattr(runtime, "batch", 1))
    for start in range(0, count, batch):
        places = np.arange(start, min(start + batch, count)) % len(tiles)
        runtime.run(tiles[places])
