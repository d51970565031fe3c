"""Detection on many machines: blocks of slides as tasks of Dask Distributed.

Workers read the images by the same paths as this process and open the model once each. Their
candidates come back and are saved here block by block, so that the death of a worker or of this
process costs only the blocks in work. The groups of tiles and the code are those of a run on one
machine: the result is identical to the byte.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from metaphase.arrays import IntArray, Pixels
from metaphase.detection import dasktasks as tasks
from metaphase.detection.candidates import Candidates
from metaphase.detection.checkpoint import Checkpoint
from metaphase.detection.dasktasks import WorkerSetup
from metaphase.detection.detect import merge_candidates, open_checkpoint, provenance_of
from metaphase.detection.grid import Grid
from metaphase.detection.inputs import Job
from metaphase.detection.pipeline import AreaProgress, Progress, tile_groups
from metaphase.detection.plan import Plan, Settings
from metaphase.detection.runtimebase import Maps, Runtime
from metaphase.errors import InputError, InterruptedRunError, MetaphaseError, MissingExtraError
from metaphase.figures import Detections
from metaphase.files import real_path
from metaphase.models.modelfile import ZOO, Model
from metaphase.provenance import Parameters
from metaphase.slides.address import url_of
from metaphase.slides.slide import Slide

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")

BLOCK_GROUPS = 4
"""Groups of tiles in a task."""

CONNECT_S = 30.0
WORKERS_S = 600.0
"""Seconds to wait for the first worker, which may have to queue."""

RETRIES = 2
"""Further attempts at a task after an error. The number of workers that a task may lose is Dask's
``distributed.scheduler.allowed-failures`` (3): a slide that kills its workers fails alone."""

_MIN_IMAGES, _MAX_IMAGES = 8, 64
_BEFORE_BLOCKS = 10  # priority of the tasks for which the blocks of an image wait


@dataclass(frozen=True)
class Block:
    """Consecutive groups of tiles of an image: the first group, their number and all tiles."""

    first: int
    count: int
    tiles: IntArray


class RemoteRuntime(Runtime):
    """Stands for the runtime of the workers in the provenance."""

    def __init__(self, name: str, batch: int, precision: str) -> None:
        self.name, self.batch, self.precision = name, batch, precision

    def run(self, tiles: Pixels) -> Maps:
        """Raise RuntimeError: tiles are computed by the workers."""
        raise RuntimeError("tiles are computed by the workers")


class DaskExecutor:
    """An executor (``executor.py``) whose work is done by the workers of a Dask scheduler."""

    def __init__(
        self,
        client: Client,
        setup: WorkerSetup,
        model: Model,
        settings: Settings,
        batch: int | None,
    ) -> None:
        self.client, self.model = client, model
        self.settings = replace(settings, roi=settings.roi and real_path(settings.roi))
        self.workers = len(client.nthreads())
        self.images_at_once = min(_MAX_IMAGES, max(_MIN_IMAGES, 2 * self.workers))
        self._stopped = False
        self._waiting: set[Future[Any]] = set()
        self._lock = threading.Lock()
        name, best, precision = self._call(tasks.describe_runtime, setup)
        self.setup = replace(setup, runtime=name, precision=precision)
        self.runtime = RemoteRuntime(name, batch or best, precision)

    @property
    def precision(self) -> str:
        """The precision in which the network is computed."""
        return self.runtime.precision

    def hash(self, job: Job, slide: Slide) -> str:
        """Return the SHA-256 of the image."""
        return self._call(tasks.hash_of_image, absolute(job))

    def plan(self, job: Job, slide: Slide) -> Plan:
        """Return the plan of the image."""
        return self._call(tasks.plan_image, self.setup, absolute(job), self.settings)

    def run(
        self,
        job: Job,
        slide: Slide,
        plan: Plan,
        image_sha256: str,
        checkpoint: Path,
        progress: Progress,
    ) -> Detections:
        """Carry out the plan. Finished parts are kept in the folder ``checkpoint``."""
        job = absolute(job)
        provenance = provenance_of(slide, self.model, plan, image_sha256, self.runtime)
        parts = open_checkpoint(checkpoint, plan, provenance, self.runtime.batch)
        area = AreaProgress(plan, slide.mpp, progress)
        candidates = self._candidates(job, plan, parts, area)
        merged = merge_candidates(candidates, plan, provenance)
        return self._call(
            tasks.finish_image, self.setup, job, plan, merged, candidates.without_rows()
        )

    def stop(self) -> None:
        """Give up the images in work: ``run`` soon raises InterruptedRunError in every thread."""
        self._stopped = True
        with self._lock:
            waiting = list(self._waiting)
        if self.client.status == "running":
            self.client.cancel(waiting)

    def close(self) -> None:
        """Give up what is not finished and leave the cluster."""
        self.stop()
        self.client.close()

    def _candidates(
        self, job: Job, plan: Plan, checkpoint: Checkpoint, area: AreaProgress
    ) -> Candidates:
        """Return the candidates of all groups: those that are saved, the others from workers."""
        from distributed import as_completed

        groups = tile_groups(plan)
        parts = checkpoint.load(len(groups))
        results = {first: candidates for first, (_, candidates) in parts.items()}
        for first, (count, _) in parts.items():
            area.add(np.concatenate(groups[first : first + count]).tolist())
        futures: dict[Future[Candidates], Block] = {}
        with self._tasks() as submit:
            for block in missing_blocks(groups, {f: count for f, (count, _) in parts.items()}):
                part = part_of_plan(plan, block.tiles)
                future = submit(tasks.compute_block, self.setup, job, part, self.runtime.batch)
                futures[future] = block
            for future in as_completed(list(futures), loop=self.client.loop):
                block = futures.pop(future)
                results[block.first] = future.result()
                future.release()
                checkpoint.save(block.first, block.count, results[block.first])
                area.add(block.tiles.tolist())
        return Candidates.join(results[first] for first in sorted(results))

    def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function on any worker, before the blocks that wait, and return its result."""
        with self._tasks(priority=_BEFORE_BLOCKS) as submit:
            result: T = submit(function, *arguments).result()
            return result

    @contextmanager
    def _tasks(self, priority: int = 0) -> Iterator[Callable[..., Future[Any]]]:
        """Give a function that submits tasks; release them at the end, and translate errors."""
        mine: list[Future[Any]] = []

        def submit(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
            future = self.client.submit(
                function, *arguments, pure=False, retries=RETRIES, priority=priority
            )
            mine.append(future)
            with self._lock:
                self._waiting.add(future)
            return future

        try:
            self._check_running()
            yield submit
            self._check_running()
        except Exception as error:
            raise self._translated(error) from error
        finally:
            with self._lock:
                self._waiting.difference_update(mine)
            if not self._stopped:
                for future in mine:
                    future.release()

    def _translated(self, error: Exception) -> Exception:
        """Return the error of a task in words for the user."""
        from distributed.scheduler import KilledWorker

        if isinstance(error, KilledWorker):
            return MetaphaseError(
                f"its workers died one after the other, {error.last_worker.address} last: perhaps "
                "they have too little memory (2 GB each are enough)"
            )
        if isinstance(error, InputError):
            return MetaphaseError(
                f"{error} (reported by a worker: workers read images and models by the same paths)"
            )
        if isinstance(error, MetaphaseError):
            return error
        gone = self._stopped or self.client.status != "running"
        return self._interrupted() if gone or isinstance(error, CancelledError) else error

    def _check_running(self) -> None:
        if self._stopped:
            raise self._interrupted()

    def _interrupted(self) -> InterruptedRunError:
        why = "interrupted" if self._stopped else "the scheduler is gone"
        return InterruptedRunError(f"{why}; finished work is kept: the same command resumes")


@contextmanager
def open_cluster(
    address: str,
    model: Model,
    settings: Settings,
    *,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "auto",
    batch: int | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> Iterator[DaskExecutor]:
    """Connect to a Dask scheduler and wait for its first worker.

    ``address`` is that of the scheduler (``tcp://host:8786``, ``tls://...``) or the path of a
    scheduler file. ``device``, ``precision`` and ``threads`` are those of each worker (threads
    None: as many as it was started with; precision "auto": chosen by the first worker). ``report``
    gets a message while it waits. Raises MissingExtraError, or MetaphaseError where no scheduler
    answers.
    """
    client = _connect(address)
    executor = None
    try:
        if not client.nthreads():
            report(f"waiting for workers of {address}")
        try:
            client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError:
            raise MetaphaseError(
                f"{address} has no workers: start some with 'dask worker {address}'"
            ) from None
        setup = WorkerSetup(_model_name(model), model.id, device, threads, precision=precision)
        executor = DaskExecutor(client, setup, model, settings, batch)
        yield executor
    finally:
        if executor is not None:
            executor.close()
        else:
            client.close()


def missing_blocks(groups: list[IntArray], saved: dict[int, int]) -> Iterator[Block]:
    """Yield blocks of at most ``BLOCK_GROUPS`` consecutive groups that are not saved.

    ``saved`` has the number of groups of each saved part by its first group.
    """
    first = 0
    while first < len(groups):
        if first in saved:
            first += saved[first]
            continue
        end = min([first + BLOCK_GROUPS, len(groups), *(f for f in saved if f > first)])
        yield Block(first, end - first, np.concatenate(groups[first:end]))
        first = end


def part_of_plan(plan: Plan, tiles: IntArray) -> Plan:
    """Return a plan of some tiles, small enough to be sent with every block."""
    grid = plan.grid
    bare = Grid(grid.width_px, grid.height_px, grid.scale, grid.tile, grid.margin)
    return replace(plan, grid=bare, tiles=tiles, roi=None, tissue=None, parameters=Parameters())


def absolute(job: Job) -> Job:
    """Return a job whose paths are the same on every machine."""
    case = job.case
    if case is not None and case.image is not None:
        case = replace(case, image=real_path(case.image), figures=())
    image = real_path(job.image) if url_of(job.image) is None else job.image
    return replace(job, image=image, case=case)


def _connect(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtraError("cluster", "detecting on a cluster") from error
    where: dict[str, Any] = {"address": address}
    if "://" not in address and address.endswith(".json"):
        where = {"scheduler_file": address}
        if not Path(address).is_file():
            raise MetaphaseError(f"{address}: there is no such scheduler file")
    try:
        return Client(**where, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:  # a TimeoutError is an OSError
        raise MetaphaseError(
            f"no Dask scheduler answers at {address}: {error} (start one with 'dask scheduler')"
        ) from error


def _model_name(model: Model) -> str:
    """Return the path by which a worker finds a model; bundled models are found by name."""
    folder = real_path(model.folder)
    return folder.name if folder.parent == real_path(ZOO) else str(folder)
