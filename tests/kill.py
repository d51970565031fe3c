"""Kill work at random moments, go on, and compare the result with that of work that was not killed.

    python -m tests.kill detect --times 200
    python -m tests.kill train --times 20
    python -m tests.kill store --times 50

``detect`` runs a tiny model slowly on synthetic images, so that a kill falls into every phase: the
start, the network, writing parts, writing results. ``train`` trains a small network; some kills
leave half a checkpoint. After each kill the same command is started again; after ``--times`` kills
it runs to its end, and its files have to be identical to those of a run that was never killed, but
for the seconds in ``summary.csv``. ``store`` writes decisions of a review: every decision that was
acknowledged has to be there. Prints the number of kills and where the work stood. Exits with 1
where a file differs or is lost.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

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

PAUSE_S = 0.002


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


def kill_detect(times: int, seed: int, work: Path) -> tuple[int, Counter[str]]:
    """Kill a run ``times`` times at random moments; return the kills that hit, and where.

    Raises AssertionError where the result differs from that of a run that was not killed.
    """
    from tests.models.tiny import save_tiny

    model = save_tiny(work / "tiny").folder
    make_images(work / "images", count=3, side=1200)
    whole, out = work / "whole", work / "out"
    started = time.monotonic()
    run = detect_command(work / "images", model, whole, PAUSE_S)
    subprocess.run(run, check=True, capture_output=True)
    takes = time.monotonic() - started
    moments, states, hits = random.Random(seed), Counter[str](), 0
    for _ in range(times):
        process = subprocess.Popen(
            detect_command(work / "images", model, out, PAUSE_S),
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


def kill_train(times: int, seed: int, work: Path) -> tuple[int, Counter[str]]:
    """Kill a training ``times`` times at random moments; return the kills that hit, and where.

    Raises AssertionError where curve, weights or detections differ from those of a run that was not
    killed. The processes are forks of one that has imported PyTorch, so that the moments fall into
    the training and not into the imports.
    """
    from tests.training.dots import dots_recipe

    recipe = work / "data" / "recipe.toml"
    dots_recipe(work / "data")
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.training.childprocess"])
    whole, out = work / "whole", work / "out"
    _finish(processes, recipe, whole)  # exports the graph, which later runs need not
    shutil.rmtree(whole)
    started = time.monotonic()
    _finish(processes, recipe, whole)
    takes = time.monotonic() - started
    moments, states, hits = random.Random(seed), Counter[str](), 0
    for _ in range(times):
        process = _started(processes, recipe, out)
        process.join(takes * moments.uniform(0.02, 1.0))
        process.kill()
        process.join()
        if process.exitcode == -signal.SIGKILL:
            hits += 1
            states[training_state(out)] += 1
            _damage(out / "checkpoints" / "last.ckpt", moments)
        elif moments.random() < 0.8:  # it ended by itself: begin again, mostly
            shutil.rmtree(out)
    _finish(processes, recipe, out)
    detections = "detections/case3/detections.csv"
    for name in ("metrics.csv", "model/weights.safetensors", detections):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    return hits, states


def _started(processes: Any, recipe: Path, out: Path) -> Any:
    from tests.training.childprocess import run_training

    process = processes.Process(target=run_training, args=(recipe, out, recipe.parent))
    process.start()
    return process


def _finish(processes: Any, recipe: Path, out: Path) -> None:
    process = _started(processes, recipe, out)
    process.join()
    assert process.exitcode == 0, f"the training ended with {process.exitcode}"


def _damage(checkpoint: Path, moments: random.Random) -> None:
    """Cut a checkpoint off, in three of ten cases, as a file system may after a crash."""
    if checkpoint.is_file() and moments.random() < 0.3:
        checkpoint.write_bytes(checkpoint.read_bytes()[: moments.randrange(1, 5000)])


def training_state(out: Path) -> str:
    """Return how far a training had come when it was killed."""
    if (out / "model" / "card.json").is_file():
        return "after the last epoch"
    if (out / "checkpoints" / "last.ckpt").is_file():
        return "between epochs"
    return "before the first epoch"


STORE = """
import os, random, signal, sys, time
from metaphase.viewer.store import Decision, ReviewStore, State

path, times, moments = sys.argv[1], int(sys.argv[2]), random.Random(int(sys.argv[3]))
number = hits = 0
for _ in range(times):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        store = ReviewStore(path)
        for i in range(number, number + 1_000_000):
            store.add(Decision("s", f"d{i}", State.CONFIRMED, "anna"))
            os.write(writing, i.to_bytes(4, "big"))
    os.close(writing)
    data = b""
    # After some decisions, however fast the computer is, and at any moment of the next one.
    most = 4 * moments.randrange(1, 30)
    while len(data) < most and (part := os.read(reading, 4)):
        data += part
    time.sleep(moments.uniform(0, 0.01))
    os.kill(child, signal.SIGKILL)
    hits += os.waitpid(child, 0)[1] == signal.SIGKILL
    while part := os.read(reading, 1 << 16):
        data += part
    os.close(reading)
    acknowledged = {int.from_bytes(data[k : k + 4], "big") for k in range(0, len(data) - 3, 4)}
    store = ReviewStore(path)
    figures = [row.figure for row in store.since("s")]
    store.close()
    assert {f"d{i}" for i in acknowledged} <= set(figures), "an acknowledged decision is lost"
    assert len(figures) == len(set(figures)), "a decision is there twice"
    number = max(number, *[int(f[1:]) + 1 for f in figures]) if figures else number
print(hits, number)
"""


def kill_store(times: int, seed: int, work: Path) -> tuple[int, Counter[str]]:
    """Kill the writer of a review's decisions; return the kills, and the decisions in the store.

    Raises AssertionError where an acknowledged decision is lost.
    """
    command = [sys.executable, "-c", STORE, str(work / "r.sqlite"), str(times), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    hits, decisions = map(int, done.stdout.split())
    return hits, Counter({"decisions": decisions})


KINDS: dict[str, Callable[[int, int, Path], tuple[int, Counter[str]]]] = {
    "detect": kill_detect,
    "train": kill_train,
    "store": kill_store,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Kill and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=list(KINDS))
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        try:
            hits, states = KINDS[options.what](options.times, options.seed, Path(folder))
        except AssertionError as error:
            print(f"the result differs after kills: {error}", file=sys.stderr)
            raise SystemExit(1) from None
    where = ", ".join(f"{count} {state}" for state, count in states.most_common())
    print(f"{hits} kills in {options.times} runs ({where}): nothing is lost")


if __name__ == "__main__":
    main()
