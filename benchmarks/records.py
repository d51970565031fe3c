"""A million labels or detections in one file: COCO, CSV and QuPath, read, checked and written.

Each in a process of its own: seconds of CPU, and the largest memory of the process.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

_TARGET_S, _TARGET_GB = 20.0, 2.0
_SIZES = {"tiny": 1000, "small": 1_000_000, "large": 1_000_000}
_SIDE = 90_000

Job = Callable[[Path], object]


def rows(size: str) -> Iterator[tuple[str, str, str, str]]:
    number = _SIZES[size]
    with tempfile.TemporaryDirectory() as folder:
        _measured(_write_inputs, Path(folder), number)
        for name, job in _JOBS.items():
            seconds, gigabytes = _measured(job, Path(folder))
            yield (
                f"{name}, {number:,} records",
                f"{seconds:.1f} s of CPU, {gigabytes:.2f} GB",
                f"target: {_TARGET_S:g} s, {_TARGET_GB:g} GB",
                f"{max(seconds / _TARGET_S, gigabytes / _TARGET_GB):.2f}",
            )


def _measured(job: Callable[..., object], *arguments: object) -> tuple[float, float]:
    """Run a job in a process of its own; return seconds of CPU and GB of memory."""
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=_run, args=(queue, job, *arguments))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"{job.__name__} ended with {process.exitcode}")
    seconds, gigabytes = queue.get()
    return seconds, gigabytes


def _run(
    queue: multiprocessing.SimpleQueue, job: Callable[..., object], *arguments: object
) -> None:
    start = time.process_time()
    job(*arguments)
    seconds = time.process_time() - start
    from benchmarks.scene import peak_mib  # not before the job: it needs memory itself

    queue.put((seconds, peak_mib() * 2**20 / 1e9))


def _write_inputs(folder: Path, number: int) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(100, _SIDE - 100, (number, 2)).round(2)
    scores = rng.uniform(0, 1, number).round(6)
    x, y, score = points[:, 0].tolist(), points[:, 1].tolist(), scores.tolist()
    image = {"id": 1, "file_name": "a.svs", "width": _SIDE, "height": _SIDE, "mpp": 0.25}
    categories = [{"id": 1, "name": "mitotic figure"}]
    with (folder / "coco.json").open("w") as stream:
        head = json.dumps({"images": [image], "categories": categories})
        stream.write(f'{head[:-1]}, "annotations": [\n')
        stream.write(
            ",\n".join(
                f'{{"id": {i}, "image_id": 1, "category_id": 1, "bbox": [{a}, {b}, 50, 50], '
                f'"area": 2500, "iscrowd": 0, "score": {s}}}'
                for i, (a, b, s) in enumerate(zip(x, y, score, strict=True))
            )
        )
        stream.write("\n]}\n")
    with (folder / "figures.csv").open("w") as stream:
        stream.write("case,id,x_px,y_px,label\n")
        stream.writelines(
            f"a,{i},{a},{b},mitotic figure\n" for i, (a, b) in enumerate(zip(x, y, strict=True))
        )
    with (folder / "detections.csv").open("w") as stream:
        stream.write("image,x_px,y_px,score,label,width_px,height_px,mpp,threshold\n")
        tail = f"mitotic figure,{_SIDE},{_SIDE},0.25,0.5"
        stream.writelines(
            f"a.svs,{a},{b},{s},{tail}\n" for a, b, s in zip(x, y, score, strict=True)
        )


def check_coco(folder: Path) -> None:
    from metaphase.labels.audit import audit

    assert audit(folder / "coco.json").ok


def check_table(folder: Path) -> None:
    from metaphase.labels.audit import audit

    assert audit(folder / "figures.csv", mpp=0.25).ok


def write_qupath(folder: Path) -> None:
    from metaphase.exchange import qupath
    from metaphase.exchange.read import read_detections

    (detections,) = read_detections(folder / "detections.csv").values()
    qupath.write(detections, folder / "a.geojson")


def check_qupath(folder: Path) -> None:
    from metaphase.labels.audit import audit

    assert audit(folder / "a.geojson", mpp=0.25).ok


def read_coco_detections(folder: Path) -> None:
    from metaphase.exchange.read import read_detections

    read_detections(folder / "coco.json")


def read_qupath_detections(folder: Path) -> None:
    from metaphase.exchange.read import read_detections

    read_detections(folder / "a.geojson", mpp=0.25)


_JOBS: dict[str, Job] = {
    "data check of COCO": check_coco,
    "data check of a CSV table": check_table,
    "CSV to QuPath": write_qupath,
    "data check of QuPath": check_qupath,
    "detections from COCO": read_coco_detections,
    "detections from QuPath": read_qupath_detections,
}
