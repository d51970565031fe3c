"""Shared by the benchmarks of detection: a slide, a model, and a measured call.

The slide is synthetic. Without a model file the network is an untrained ``compact``, which takes as
long as a trained one. Its scores are shifted so that it returns about as many candidates as a
detector does in tissue, because decoding and merging take time too.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.detection.prefetch import prefetch
from metaphase.detection.runtime import Runtime
from metaphase.models.modelfile import Model, load_model, zoo_names
from metaphase.radii import MERGE_RADIUS_UM

MPP = 0.25
CANDIDATES_A_TILE = 2.0
"""Above ``min_score``, before merging: some 150 a mm2."""

INSTRUCTIONS = "ONEDNN_MAX_CPU_ISA"
"""Environment variable that limits the instructions of OpenVINO's kernels (oneDNN)."""

Row = tuple[str, str, str, str]


def the_model(folder: Path, path: str | None = None) -> Model:
    """Return the model to measure: the named one, the shipped one, or an untrained one."""
    if path is not None:
        return load_model(path)
    if "compact" in zoo_names():
        return load_model("compact")
    return untrained(folder)


def untrained(folder: Path) -> Model:
    """Write a model file of a compact network with random weights, with few candidates."""
    import torch

    from metaphase.figures import Label
    from metaphase.models.card import ModelCard, Threshold
    from metaphase.models.export import export_onnx
    from metaphase.models.modelfile import save_model
    from metaphase.models.networks import build_network

    torch.manual_seed(0)
    network = build_network("compact", {}, (Label.MITOTIC,), pretrained=False).eval()
    _calm(network)
    card = ModelCard(
        name="untrained compact",
        created="2026-01-01T00:00:00Z",
        metaphase="0",
        network="compact",
        network_options=network.options,
        input=network.input,
        head=network.head,
        normalisation=network.normalisation,
        merge_radius_um=MERGE_RADIUS_UM,
        threshold=Threshold(value=0.5, chosen_on="nothing", protocol="none"),
        training_data=[],
        recipe={},
        seed=0,
        versions={},
    )
    folder.mkdir(parents=True, exist_ok=True)
    graph = export_onnx(network, folder / "graph.onnx", check=False)
    return save_model(folder, card, weights=network.state_dict(), onnx=graph)


def _calm(network: Any) -> None:
    """Shift the scores so that made-up tissue has about ``CANDIDATES_A_TILE`` candidates a tile."""
    import torch

    from metaphase.detection.decode import decode

    rng = np.random.default_rng(0)
    tiles = np.stack([tissue(rng, network.input.tile_px) for _ in range(2)])
    with torch.inference_mode():
        logits, offsets = (m.float().numpy() for m in network(torch.from_numpy(tiles)))
    low, high = -100.0, 100.0
    for _ in range(30):
        middle = (low + high) / 2
        found = decode([logits - middle, offsets], network.head, min_score=0.05)
        many = np.mean([len(candidates) for candidates in found]) > CANDIDATES_A_TILE
        low, high = (middle, high) if many else (low, middle)
    with torch.no_grad():
        network.score.bias -= high


def tissue(rng: np.random.Generator, side: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return synthetic pixels [side, side, 3] with dark spots."""
    pixels = np.array([225.0, 160.0, 195.0]) + rng.normal(0, 9, (side, side, 1))
    y, x = np.mgrid[:side, :side]
    for cx, cy in rng.uniform(0, side, (side * side // 4000, 2)):
        pixels[(x - cx) ** 2 + (y - cy) ** 2 < 100] = (110.0, 60.0, 140.0)
    return pixels.clip(0, 255).astype(np.uint8)


def the_slide(folder: Path, tissue_mm2: float, *, share: float = 0.55) -> Path:
    """Write (once) a synthetic slide with an area of tissue, on glass around it."""
    from metaphase.phantom import SCANNERS, make_slide

    path = folder / f"slide-{tissue_mm2:g}mm2.tiff"
    if not path.exists():
        pixels = tissue_mm2 * 1e6 / SCANNERS[0].mpp ** 2 / share
        width = max(2048, int(math.sqrt(pixels * 4 / 3)))
        make_slide(path, width, max(2048, int(pixels / width)), tissue_mm2=tissue_mm2)
    return path


def cpu_seconds_of(call: Callable[[], Any]) -> float:
    """Return the seconds of CPU that a call takes on all cores together."""
    began = time.process_time()
    call()
    return time.process_time() - began


def seconds_of(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def run_all(runtime: Runtime, batches: Iterable[np.ndarray]) -> None:
    """Run batches as fast as a runtime goes: from as many threads at once as it likes."""
    streams = runtime.streams
    for _ in prefetch(runtime.run, batches, workers=streams, depth=2 * streams):
        pass


def peak_mib() -> float:
    """Return the most memory that this process has used, in MiB."""
    import resource

    # Linux passes on the maximum of the process that started this one, but not in the status.
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    own = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return own[0] if own else used / (2**20 if sys.platform == "darwin" else 1024)


@dataclass(frozen=True)
class Cost:
    """What a run took: seconds by the clock and of all cores, and MiB of memory at its peak.

    On a computer with other load, processor time is more reliable than the clock.
    """

    seconds: float
    cpu_s: float
    peak_mib: float


def in_a_process(arguments: list[str]) -> Cost:
    """Run ``metaphase`` with arguments and return what it took.

    Raises RuntimeError, with what it said, where it fails.
    """
    code = (
        "import json, pathlib, resource, sys\n"
        "from metaphase.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit as done:\n"
        "    if done.code: raise\n"
        # Linux passes on the maximum of the process that started this one, but not in the status.
        "status = pathlib.Path('/proc/self/status')\n"
        "lines = status.read_text().splitlines() if status.exists() else []\n"
        "own = [1024 * int(line.split()[1]) for line in lines if line.startswith('VmHWM')]\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "peak = own[0] if own else used.ru_maxrss * (1 if sys.platform == 'darwin' else 1024)\n"
        "print(json.dumps({'peak': peak, 'cpu': used.ru_utime + used.ru_stime}))"
    )
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=False, env=dict(os.environ),
    )  # fmt: skip
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"metaphase {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
    result = json.loads(done.stdout.splitlines()[-1])
    return Cost(seconds, result["cpu"], result["peak"] / 2**20)
