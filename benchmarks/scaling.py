"""Time of ``metaphase detect --cluster`` with more slides and more Dask workers.

Scheduler and workers are processes of this computer with one thread each, started beforehand. The
reference is one worker with one slide. More workers than cores would measure nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.scene import Row, in_a_process, the_model, the_slide
from metaphase.detection.cores import physical_cores

TISSUE_MM2 = {"tiny": 0.2, "small": 4.0, "large": 20.0}
SLIDES = {"tiny": (1, 2), "small": (1, 2, 4), "large": (1, 4, 8)}
_PATIENCE_S = 600


def rows(size: str = "small", model: str | None = None) -> Iterator[Row]:
    try:
        import distributed  # noqa: F401
    except ImportError:
        yield "cluster", "not measured: Dask Distributed is not installed", "-", "-"
        return
    workers = [n for n in (1, 2, 4, 8, 16) if n <= max(2, physical_cores())]
    slides = SLIDES[size]
    with TemporaryDirectory() as folder:
        opened = the_model(Path(folder) / "model", model)
        paths = _copies(the_slide(Path(folder), TISSUE_MM2[size]), max(slides))
        first = None
        for many in workers:
            with cluster(Path(folder), many) as file:
                run = ["-m", str(opened.folder), "--cluster", file, "--no-overlay", "--tissue"]
                warm = Path(folder) / f"warm-{many}"
                in_a_process(["detect", *map(str, paths[:1]), *run, "-o", str(warm)])
                for count in slides:
                    out = Path(folder) / f"out-{many}-{count}"
                    images = map(str, paths[:count])
                    seconds = in_a_process(["detect", *images, *run, "-o", str(out)]).seconds
                    first = first or seconds
                    what = f"{count} slides, {many} workers"
                    ideal = first * count / many
                    yield (
                        what,
                        f"{seconds:.1f} s",
                        f"in proportion: {ideal:.1f} s",
                        f"{seconds / ideal:.2f}",
                    )


def _copies(path: Path, count: int) -> list[Path]:
    copies = [path.with_name(f"{path.stem}-{number}.tiff") for number in range(count)]
    for copy in copies:
        shutil.copyfile(path, copy)
    return copies


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[str]:
    """Run a scheduler and workers as processes; give the path of the scheduler file."""
    file = folder / f"scheduler-{workers}.json"
    dask = [sys.executable, "-m", "dask"]
    with ExitStack() as stack:
        address = ["--scheduler-file", str(file)]
        local = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
        stack.enter_context(_running([*dask, "scheduler", *local, *address]))
        began = time.monotonic()
        while not file.exists():
            if time.monotonic() - began > _PATIENCE_S:
                raise RuntimeError("the Dask scheduler did not start")
            time.sleep(0.1)
        for _ in range(workers):
            options = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
            stack.enter_context(_running([*dask, "worker", *address, *options]))
        _wait(str(file), workers)
        yield str(file)


def _wait(file: str, workers: int) -> None:
    from distributed import Client

    with Client(scheduler_file=file, timeout=_PATIENCE_S, set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=_PATIENCE_S)


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)
