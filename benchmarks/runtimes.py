"""The network alone: mm2 of tissue per second and core, for each runtime and precision.

Tiles with their overlap, in memory. Runtimes take turns, so that other load affects all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.scene import Row, run_all, seconds_of, the_model, tissue
from metaphase.detection.cores import physical_cores
from metaphase.detection.runtime import Runtime, open_runtime
from metaphase.errors import MetaphaseError
from metaphase.models.modelfile import Model
from metaphase.models.precision import Precision
from metaphase.units import area_mm2

ROUNDS = {"tiny": 1, "small": 6, "large": 30}
TILES = {"tiny": 2, "small": 8, "large": 16}


def rows(size: str = "small", model: str | None = None) -> Iterator[Row]:
    cores = physical_cores()
    with TemporaryDirectory() as folder:
        fp32 = the_model(Path(folder) / "model", model)
        opened, missing = open_all(fp32, Path(folder))
        tiles = some_tiles(fp32.card.input.tile_px, TILES[size])
        seconds = in_turns(opened, tiles, ROUNDS[size])
    useful = fp32.card.input.tile_px - 2 * fp32.card.input.margin_px
    mm2 = area_mm2(useful, useful, fp32.card.input.mpp)
    base = seconds["onnx fp32"]
    for name, each in sorted(seconds.items(), key=lambda item: item[1]):
        measured = f"{mm2 / each / cores:.3f} mm2/s a core"
        against = f"{1000 * each:.1f} ms a tile on {cores} cores; onnx fp32: {1000 * base:.1f}"
        yield name, measured, against, f"{base / each:.2f}"
    for name, reason in missing.items():
        yield name, "not measured", " ".join(reason.split())[:60], "-"


def open_all(fp32: Model, folder: Path) -> tuple[dict[str, Runtime], dict[str, str]]:
    """Return what runs a model, by name, and why others do not."""
    opened: dict[str, Runtime] = {}
    missing: dict[str, str] = {}
    models = {"fp32": fp32, **_exported(fp32, folder, missing)}
    wanted = [
        *(("onnx", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"), ("torch", "fp32")),
        *(("torch", "bf16"), ("onnx", "fp16"), ("onnx", "int8"), ("openvino", "int8")),
    ]
    for device, precision in wanted:
        name, graph = f"{device} {precision}", "fp32" if precision == "bf16" else precision
        if graph not in models:
            continue
        try:
            opened[name] = open_runtime(models[graph], device, precision=precision)
        except MetaphaseError as error:
            missing[name] = str(error)
    return opened, missing


def _exported(fp32: Model, folder: Path, missing: dict[str, str]) -> dict[str, Model]:
    from metaphase.models.precision import export_model

    rng = np.random.default_rng(1)
    made = {}
    precisions: tuple[Precision, ...] = ("fp16", "int8")
    for precision in precisions:
        calibration = [tissue(rng, fp32.card.input.tile_px) for _ in range(4)]
        try:
            made[precision] = export_model(fp32, folder / precision, precision, tiles=calibration)
        except MetaphaseError as error:
            missing[precision] = str(error)
    return made


def some_tiles(side: int, count: int) -> np.ndarray:
    """Return tiles [count, side, side, 3] of made-up tissue."""
    rng = np.random.default_rng(0)
    return np.stack([tissue(rng, side) for _ in range(count)])


def in_turns(opened: dict[str, Runtime], tiles: np.ndarray, rounds: int) -> dict[str, float]:
    """Return the seconds a tile of each runtime: the median of rounds in which all have a turn."""
    for runtime in opened.values():
        once(runtime, tiles[:1])
    times: dict[str, list[float]] = {name: [] for name in opened}
    for _ in range(rounds):
        for name, runtime in opened.items():
            times[name].append(once(runtime, tiles))
    return {name: float(np.median(each)) for name, each in times.items()}


def once(runtime: Runtime, tiles: Sequence[np.ndarray] | np.ndarray) -> float:
    """Return the seconds a tile, in the batches that a runtime likes and side by side."""
    batch = runtime.batch
    batches = (np.asarray(tiles[start : start + batch]) for start in range(0, len(tiles), batch))
    return seconds_of(lambda: run_all(runtime, batches)) / len(tiles)
