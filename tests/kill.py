"""Kill a run at random moments, resume it, and compare the result with that of one run.

    python -m tests.kill detect --times 200

``detect`` runs a tiny model slowly on synthetic images, so that a kill falls into every phase: the
start, the network, writing parts, writing results. After each kill the same command is started
again; after ``--times`` kills it runs to its end. Every file of its output has to be identical to
that of a run that was never killed, but for the seconds in ``summary.csv``. Prints the number of
kills and where the work stood. Exits with 1 where a file differs or is lost.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Each batch takes a little longer, as on a slow computer, and parts are saved more often.
RUN = """
import sys, time
from metaphase.cli import main
from metaphase.detection import pipeline
from metaphase.detection.runtimeonnx import OnnxRuntime
run = OnnxRuntime.run
OnnxRuntime.run = lambda self, tiles: (time.sleep({pause}), run(self, tiles))[1]
pipeline.SAVE_EVERY_S = 0.05
main(sys.argv[1:])
"""


def detect_command(images: Path, model: Path, out: Path, pause: float) -> list[str]:
    """Return the command of a slow run."""
    arguments = ["detect", images, "--model", model, "--out", out, "--mpp", "0.25"]
    arguments += ["--device", "onnx", "--batch", "2", "--threads", "1"]
    return [sys.executable, "-c", RUN.format(pause=pause), *map(str, arguments)]


def make_images(folder: Path, count: int, side: int) -> None:
    """Write images of dark dots."""
    from PIL import Image

    from tests.detection.scenes import DotSlide

    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        dots = rng.uniform(20, side - 20, (side // 10, 2))
        pixels = DotSlide(side, side, 0.25, dots).read(0, 0, side, side)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def state_of(out: Path) -> str:
    """Return how far a run had come when it was killed."""
    if list(out.glob("*/.blocks/*.npz")):
        return "between parts"
    if list(out.glob("*/detections.json")):
        return "between images"
    return "before the first part"


def kill_detect(times: int, seed: int, work: Path, *, pause: float = 0.002) -> tuple[int, Counter]:
    """Kill a run ``times`` times at random moments; return the kills that hit, and where.

    Raises AssertionError where the result differs from that of a run that was not killed.
    """
    from tests.models.tiny import save_tiny

    model = save_tiny(work / "tiny").folder
    make_images(work / "images", count=3, side=1200)
    whole, out = work / "whole", work / "out"
    started = time.monotonic()
    run = detect_command(work / "images", model, whole, pause)
    subprocess.run(run, check=True, capture_output=True)
    takes = time.monotonic() - started
    moments, states, hits = random.Random(seed), Counter(), 0
    for _ in range(times):
        process = subprocess.Popen(
            detect_command(work / "images", model, out, pause),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(takes * moments.uniform(0.05, 1.1))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            hits += 1
            states[state_of(out)] += 1
        elif moments.random() < 0.8:  # it ended by itself: begin again, mostly
            _remove_some(out, moments)
    subprocess.run(
        detect_command(work / "images", model, out, 0.0), check=True, capture_output=True
    )
    from tests.detection.scenes import results_in

    expected, found = results_in(whole), results_in(out)
    assert set(found) == set(expected), set(found) ^ set(expected)
    different = [name for name in expected if found[name] != expected[name]]
    assert not different, different
    return hits, states


def _remove_some(out: Path, moments: random.Random) -> None:
    """Remove the results of an image, so that there is work again."""
    folders = sorted(path.parent for path in out.glob("*/detections.json"))
    if folders:
        for path in moments.choice(folders).iterdir():
            path.unlink()


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["detect"])
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        try:
            hits, states = kill_detect(options.times, options.seed, Path(folder))
        except AssertionError as error:
            print(f"the result differs after kills: {error}", file=sys.stderr)
            raise SystemExit(1) from None
    where = ", ".join(f"{count} {state}" for state, count in states.most_common())
    print(f"{hits} kills in {options.times} runs ({where}): every file is identical")


if __name__ == "__main__":
    main()
