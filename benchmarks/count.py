"""``metaphase count`` on a million detections: seconds of CPU and memory, with all files written.

Target: 20 s and 2 GB. Each measurement is a process of its own, so that its memory is its own.
Evenly random figures are the hard case: every window is nearly as good as the best.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.scene import Row
from metaphase.detectionfile import save_detections
from metaphase.figures import Detections
from metaphase.provenance import Provenance

FIGURES = {"tiny": 2_000, "small": 1_000_000, "large": 1_000_000}
TARGET_S, TARGET_MB = 20.0, 2000.0
MPP, WIDTH, HEIGHT = 0.25, 100_000, 80_000

_CHILD = """
import resource, sys
from metaphase.cli import main
try:
    main(["count", sys.argv[1], "--out", sys.argv[2]])
except SystemExit as ended:
    assert not ended.code, ended.code
used = resource.getrusage(resource.RUSAGE_SELF)
print("MEASURED", used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def rows(size: str = "small") -> Iterator[Row]:
    n = FIGURES[size]
    rng = np.random.default_rng(0)
    for name, points in (("clustered", _clustered(rng, n)), ("evenly random", _even(rng, n))):
        with TemporaryDirectory() as folder:
            slide = Path(folder) / "slide"
            save_detections(_detections(points, rng), slide)
            seconds, megabytes = _measured(slide, Path(folder) / "out")
        share = max(seconds / TARGET_S, megabytes / TARGET_MB)
        target = f"target {TARGET_S:g} s, {TARGET_MB:g} MB"
        yield f"{n:,} {name}", f"{seconds:.1f} s, {megabytes:.0f} MB", target, f"{share:.2f}"


def _measured(slide: Path, out: Path) -> tuple[float, float]:
    """Return seconds of CPU and the largest memory, MB, of one run of the command."""
    command = [sys.executable, "-c", _CHILD, str(slide), str(out)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, megabytes = text.rpartition("MEASURED")[2].split()
    return float(seconds), float(megabytes)


def _detections(points: np.ndarray, rng: np.random.Generator) -> Detections:
    provenance = Provenance("slide.svs", WIDTH, HEIGHT, MPP, threshold=0.5)
    score = rng.uniform(0.3, 1, len(points))
    return Detections(points[:, 0], points[:, 1], score, provenance=provenance)


def _even(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.random((n, 2)) * (WIDTH, HEIGHT)


def _clustered(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return points in 300 clusters with a standard deviation of 0.4 mm."""
    middles = rng.random((300, 2)) * (WIDTH, HEIGHT)
    points = middles[rng.integers(0, 300, n)] + rng.normal(0, 400 / MPP, (n, 2))
    return points.clip(0, (WIDTH, HEIGHT))
