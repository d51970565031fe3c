"""Detection end to end, compared with the networks alone on as many tiles and windows.

A synthetic slide: from the file to merged detections, with hashing and the search for tissue. The
networks alone get pixels of the same slide from memory, before and after: the detector as many
tiles, the second stage as many windows, in the same batches. One tile on each core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.scene import Row, cpu_seconds_of, run_all, seconds_of, the_model, the_slide
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


class Counted(Runtime):
    """A runtime that keeps the sizes of its batches and some of its windows."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.name = runtime, runtime.name
        self.streams, self.precision, self.batch = runtime.streams, runtime.precision, runtime.batch
        self.sizes: list[int] = []
        self.kept: list[np.ndarray] = []

    def run(self, windows: np.ndarray) -> Any:
        self.sizes.append(len(windows))
        if len(self.kept) < _DIFFERENT:
            self.kept.append(windows)
        return self.runtime.run(windows)

    def alone(self) -> None:
        """Run as many windows in the same batches, out of memory."""
        windows = np.concatenate(self.kept)
        run_all(self.runtime, (np.resize(windows, (n, *windows.shape[1:])) for n in self.sizes))


def rows(size: str = "small", model: str | None = None) -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        opened = the_model(Path(folder) / "model", model)
        path = the_slide(Path(folder), TISSUE_MM2[size])
        runtime = open_runtime(opened)
        with open_slide(path) as slide:
            yield from _measured(slide, opened, runtime)
            exact = open_runtime(opened, precision="fp32")
            if runtime.precision != "fp32":
                yield from _ratios(slide, opened, exact, make_plan(slide, opened, Settings()))[0]


def _measured(slide: Slide, model: Model, runtime: Runtime) -> Iterator[Row]:
    plan = make_plan(slide, model, Settings())
    ratios, alone = _ratios(slide, model, runtime, plan)
    yield from ratios
    reading = seconds_of(lambda: _read(slide, plan, everything=True))
    yield "reading alone, one thread", f"{reading:.2f} s", "detector", f"{reading / alone:.3f}"
    tiles = _read(slide, plan)
    maps = [runtime.run(tiles[i : i + 1]) for i in range(len(tiles))]
    decoding = seconds_of(
        lambda: [decode(m, model.card.head, min_score=plan.min_score) for m in maps]
    )
    decoding *= len(plan.tiles) / len(maps)
    yield "decoding maps alone", f"{decoding:.2f} s", "detector", f"{decoding / alone:.3f}"
    planning = seconds_of(lambda: make_plan(slide, model, Settings()))
    yield "looking for tissue", f"{planning:.2f} s", "detector", f"{planning / alone:.3f}"


def _ratios(slide: Slide, model: Model, runtime: Runtime, plan: Plan) -> tuple[list[Row], float]:
    """Return the rows of one runtime, and the seconds of its detector alone."""
    tiles, count = _read(slide, plan), len(plan.tiles)
    second = runtime.second_stage
    counted = None if second is None else Counted(second)
    if counted is not None:
        runtime.second_stage = counted
    _network(runtime, tiles, min(8, count))  # the first calls pay for set-up
    cpu: dict[str, float] = {}

    def timed(name: str, call: Callable[[], Any]) -> float:
        return seconds_of(lambda: cpu.update({name: cpu_seconds_of(call)}))

    before = timed("before", lambda: _network(runtime, tiles, count))
    found = []
    whole = timed("whole", lambda: found.append(detect(slide, model, runtime=runtime)))
    after = timed("after", lambda: _network(runtime, tiles, count))
    alone = float(np.mean([before, after]))
    again = counted is not None and counted.sizes
    windows = timed("windows", counted.alone) if again else 0.0
    networks_cpu = (cpu["before"] + cpu["after"]) / 2 + cpu.get("windows", 0.0)
    area = float(plan.area_px().sum()) * slide.mpp**2 * 1e-6
    what = f"{count} tiles, {runtime.name}"
    against = f"detector: {alone:.2f} s ({before:.2f}, {after:.2f}); target {TARGET:.2f}"
    both = f"detector and {windows:.2f} s second stage; target {TARGET:.2f}"
    looked_at = 0 if counted is None else sum(counted.sizes)
    rows = [
        (f"over both networks: {what}", f"{whole:.2f} s", both, f"{whole / (alone + windows):.3f}"),
        (f"over the detector: {what}", f"{whole:.2f} s", against, f"{whole / alone:.3f}"),
        (
            "the same in seconds of CPU",
            f"{cpu['whole']:.2f} s",
            f"both networks: {networks_cpu:.2f} s",
            f"{cpu['whole'] / networks_cpu:.3f}",
        ),
        ("mm2 a second", f"{area / whole:.3f}", f"detector: {area / alone:.3f}", "-"),
        ("detections", f"{len(found[0]) / area:.0f} a mm2", f"{looked_at} windows", "-"),
    ]
    return rows, alone


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
    batch = runtime.batch
    starts = range(0, count, batch)
    run_all(runtime, (tiles[np.arange(s, min(s + batch, count)) % len(tiles)] for s in starts))
