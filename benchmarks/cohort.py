"""Many images in one command: what is spent beside detection, per image and per task.

Small images, and a detector that does nothing: opening, hashing, planning, and writing the files;
then the same command again, which recognises finished images. On a cluster, tasks that do nothing.
Each part runs in a process of its own, whose peak memory is that of the command.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.scaling import cluster
from benchmarks.scene import Row, cpu_seconds_of, peak_mib, the_model
from metaphase.detection.batch import BatchEvents, BatchOptions, detect_batch
from metaphase.detection.detect import hash_image, provenance_of
from metaphase.detection.detectimages import jobs_for
from metaphase.detection.inputs import Job
from metaphase.detection.plan import Plan, Settings, make_plan
from metaphase.detection.resultfolder import ResultFolder
from metaphase.detection.runtimebase import Maps, Runtime
from metaphase.figures import Detections
from metaphase.models.modelfile import Model, load_model
from metaphase.slides.open import open_slide
from metaphase.slides.slide import Slide

IMAGES = {"tiny": 200, "small": 500, "large": 10_000}
TASKS = {"tiny": 500, "small": 5_000, "large": 100_000}
WHOLE, DETECTIONS = 10_000, 2_000
START_S, AGAIN_S, MEMORY_MIB = 60.0, 60.0, 1024.0


def rows(size: str = "small", model: str | None = None) -> Iterator[Row]:
    count = IMAGES[size]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        opened = the_model(root / "model", model)
        _images(root / "images", count)
        for again in (False, True):
            yield from _images_rows(
                count, again, _in_a_process("images", str(root), str(opened.folder))
            )
        yield from _files(root, opened)
        yield from _tasks(root, TASKS[size])


def _images_rows(count: int, again: bool, made: dict[str, float]) -> Iterator[Row]:
    each = made["cpu"] / count
    what = f"{count} finished images recognised" if again else f"{count} images, no network"
    whole = f"{WHOLE}: {each * WHOLE:.0f} s"
    measured = f"{1000 * each:.1f} ms of CPU an image"
    if again:
        yield what, measured, f"{whole}; target {AGAIN_S:.0f} s", f"{each * WHOLE / AGAIN_S:.2f}"
    else:
        yield what, measured, f"{whole}; by the clock {made['seconds']:.1f} s", "-"
        begun = made["first"] / count * WHOLE
        against = f"{WHOLE} in proportion: {begun:.1f} s; target {START_S:.0f} s"
        yield "until the first image begins", f"{made['first']:.2f} s of CPU", against, "-"
    peak = made["peak"]
    yield (
        "peak memory",
        f"{peak:.0f} MiB",
        f"target {MEMORY_MIB:.0f} MiB",
        f"{peak / MEMORY_MIB:.2f}",
    )


def _files(root: Path, model: Model) -> Iterator[Row]:
    """Write the files of one slide with many detections."""
    rng = np.random.default_rng(0)
    image = next((root / "images").iterdir())
    with open_slide(image, mpp=0.25) as slide:
        plan = make_plan(slide, model, Settings())
        provenance = provenance_of(slide, model, plan, "", _Nothing())
        points = rng.uniform(0, 48, (2, DETECTIONS))
        detections = Detections(*points, rng.uniform(0, 1, DETECTIONS), provenance=provenance)
        folder = ResultFolder(root / "files")
        cpu = cpu_seconds_of(lambda: folder.write(slide, plan, detections, Settings(), None))
    size = sum(path.stat().st_size for path in folder.path.iterdir())
    yield (
        f"the files of {DETECTIONS} detections",
        f"{size / DETECTIONS:.0f} bytes each",
        f"{1000 * cpu:.0f} ms of CPU",
        "-",
    )


def _images(folder: Path, count: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    then = time.time() - 3600
    for number in range(count):
        path = folder / f"{number:05d}.png"
        Image.fromarray(rng.integers(0, 256, (48, 48, 3), np.uint8)).save(path)
        os.utime(path, (then, then))


def _tasks(root: Path, count: int) -> Iterator[Row]:
    try:
        import distributed  # noqa: F401
    except ImportError:
        yield "tasks on a cluster", "not measured: Dask Distributed is not installed", "-", "-"
        return
    with cluster(root, 1) as file:
        made = _in_a_process("tasks", file, str(count))
    for where in ("scheduler", "cpu"):
        each = made[where] / count
        name = "command" if where == "cpu" else where
        yield (
            f"{count} tasks that do nothing: {name}",
            f"{1000 * each:.2f} ms of CPU a task",
            f"100,000: {each * 1e5:.0f} s; {made['peak']:.0f} MiB in the command",
            "-",
        )


def _in_a_process(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.cohort", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


class _Nothing(Runtime):
    name = "nothing"

    def run(self, tiles: Any) -> Maps:
        raise NotImplementedError


class NoWork:
    """An executor that finds nothing, in no time."""

    images_at_once = 1
    precision = "fp32"

    def __init__(self, model: Model) -> None:
        self.model, self.settings, self.runtime = model, Settings(), _Nothing()

    def hash(self, job: Job, slide: Slide) -> str:
        return hash_image(slide)

    def plan(self, job: Job, slide: Slide) -> Plan:
        return make_plan(slide, self.model, self.settings)

    def run(self, job: Job, slide: Slide, plan: Plan, image_sha256: str, *_: Any) -> Detections:
        provenance = provenance_of(slide, self.model, plan, image_sha256, self.runtime)
        return Detections([], [], [], provenance=provenance)

    def stop(self) -> None:
        pass


def _run_images(root: Path, model: str) -> dict[str, float]:
    opened = load_model(model)
    began, cpu = time.perf_counter(), time.process_time()
    first: list[float] = []
    jobs = jobs_for([root / "images"], root / "out", mpp=0.25)
    events = BatchEvents(started=lambda job: first.append(time.process_time() - cpu))
    options = BatchOptions(overlay=False)
    executor = NoWork(opened)
    detect_batch(executor, jobs, opened, root / "out", executor.settings, options, events)
    return {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "first": first[0],
        "peak": peak_mib(),
    }


def _run_tasks(file: str, count: int) -> dict[str, float]:
    from distributed import Client

    with Client(scheduler_file=file, set_as_default=False) as client:
        client.submit(int, 0, pure=False).result()
        scheduler, cpu = client.run_on_scheduler(time.process_time), time.process_time()
        client.gather([client.submit(int, number, pure=False) for number in range(count)])
        return {
            "scheduler": client.run_on_scheduler(time.process_time) - scheduler,
            "cpu": time.process_time() - cpu,
            "peak": peak_mib(),
        }


if __name__ == "__main__":
    kind, place, value = sys.argv[1:]
    print(
        json.dumps(
            _run_tasks(place, int(value)) if kind == "tasks" else _run_images(Path(place), value)
        )
    )
