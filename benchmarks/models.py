"""A slide with two models, and with torchvision's detectors, side by side: CPU seconds of 100 mm2.

The models run from the command line to the files, in turns, on one synthetic slide: ``--model``
against ``--against`` (the bundled one). RetinaNet-ResNet-50 (v2) gets 512 px tiles with an overlap
of 64 px, FCOS-ResNet-18 1024 px tiles with an overlap of 30 %, as in its authors' settings, both at
0.25 um/px: network and post-processing alone, on pixels in memory, scaled to the area.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.reference import fcos, retinanet
from benchmarks.scene import Cost, Row, cpu_seconds_of, in_a_process, the_model, the_slide, tissue
from metaphase.detection.cores import physical_cores
from metaphase.units import area_mm2

TISSUE_MM2 = {"tiny": 0.3, "small": 4.0, "large": 25.0}
ROUNDS = {"tiny": 1, "small": 2, "large": 3}
MPP = 0.25
AREA_MM2 = 100.0
TARGET, TARGET_FCOS = 0.40, 60.0
REFERENCES: dict[str, tuple[Callable[[int], Any], int, float]] = {
    "RetinaNet-ResNet-50": (retinanet, 512, 512 - 64),
    "FCOS-ResNet-18": (fcos, 1024, 1024 * 0.7),
}


def rows(
    size: str = "small", model: str | None = None, against: str | None = None
) -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        slides = [the_slide(root, mm2) for mm2 in (TISSUE_MM2[size] / 4, TISSUE_MM2[size])]
        models = {"model": str(the_model(root / "model", model).folder)}
        if against is not None:
            models["other model"] = against
        costs: dict[str, list[list[Cost]]] = {name: [] for name in models}
        for number in range(ROUNDS[size]):
            for name, path in models.items():
                out = root / f"{name}-{number}"
                costs[name].append([_detect(slide, path, out) for slide in slides])
    cpu = {name: _scaled(each, TISSUE_MM2[size]) for name, each in costs.items()}
    base = cpu.get("other model", cpu["model"])
    for name, each in costs.items():
        seconds = _scaled(each, TISSUE_MM2[size], "seconds")
        peak = max(cost.peak_mib for pair in each for cost in pair)
        yield (
            f"{name}, {physical_cores()} cores",
            f"{cpu[name]:.0f} s of CPU for {AREA_MM2:g} mm2",
            f"{seconds:.0f} s by the clock, {peak:.0f} MiB; target {TARGET:g} of the other model",
            f"{cpu[name] / base:.2f}",
        )
    for name, (make, side, stride) in REFERENCES.items():
        seconds = _reference(make(side), side, ROUNDS[size]) * AREA_MM2
        seconds /= area_mm2(stride, stride, MPP)
        yield (
            f"{name}, {side} px tiles",
            f"{seconds:.0f} s of CPU for {AREA_MM2:g} mm2",
            f"times the model; target for FCOS {TARGET_FCOS:.0f}",
            f"{seconds / cpu['model']:.1f}",
        )


def _detect(slide: Path, model: str, out: Path) -> Cost:
    arguments = ["detect", str(slide), "-m", model, "-o", str(out / slide.stem), "--tissue"]
    return in_a_process([*arguments, "--no-overlay", "--quiet"])


def _scaled(pairs: list[list[Cost]], mm2: float, figure: str = "cpu_s") -> float:
    """Return the cost of ``AREA_MM2``: the start, and the median cost of more tissue."""
    small, large = (float(np.median([getattr(pair[i], figure) for pair in pairs])) for i in (0, 1))
    each = (large - small) / (0.75 * mm2)
    return large + each * (AREA_MM2 - mm2)


def _reference(network: Any, side: int, rounds: int) -> float:
    """Return the CPU seconds of a tile."""
    import torch

    torch.set_num_threads(physical_cores())
    tile = torch.from_numpy(tissue(np.random.default_rng(0), side)).permute(2, 0, 1).float() / 255

    def call() -> None:
        with torch.inference_mode():
            network([tile])

    call()
    return float(np.median([cpu_seconds_of(call) for _ in range(rounds)]))
