"""Many machines: slides, and the blocks of large slides, as tasks on Dask Distributed.

Workers read the images by the same paths as this process and open the model once each. What they
find comes back and is kept here block by block, so that neither the death of a worker nor that of
this process costs more than the blocks in work. Blocks are those of a run on one machine, looked at
by the same code: the result is the same to the byte.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from metaphase.detection import dasktasks as tasks
from metaphase.detection.checkpoint import Candidates, Checkpoint
from metaphase.detection.dasktasks import Orders
from metaphase.detection.detect import (
    Progress,
    Teller,
    block_store,
    blocks_of,
    finish,
    provenance,
)
from metaphase.detection.grid import Grid
from metaphase.detection.inputs import Job
from metaphase.detection.plan import Plan, Settings
from metaphase.errors import InputError, InterruptedRunError, MetaphaseError, MissingExtraError
from metaphase.figures import Detections
from metaphase.models.modelfile import ZOO, Model
from metaphase.slides.slide import Slide

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")

CONNECT_S = 30.0
WORKERS_S = 600.0
"""How long the first worker is waited for: a queue may be before it."""

RETRIES = 2
"""Times that a task is tried again after an error. How many workers a task may lose is Dask's
``distributed.scheduler.allowed-failures`` (3): a slide that kills its workers fails alone."""

_IMAGES_AT_LEAST, _IMAGES_AT_MOST = 8, 64
_FIRST = 10  # priority of what the blocks of an image wait for


@dataclass
class _Elsewhere:
    """Stands for the workers' runtime in the provenance."""

    name: str
    batch: int
    precision: str

    def run(self, tiles: Any) -> NoReturn:
        raise RuntimeError("tiles are looked at by the workers")


class DaskExecutor:
    """An executor (``executor.py``) whose work is done by the workers of a Dask scheduler."""

    def __init__(
        self, client: Client, orders: Orders, model: Model, settings: Settings, batch: int | None
    ) -> None:
        self.client, self.model = client, model
        self.settings = replace(settings, roi=settings.roi and settings.roi.resolve())
        self.workers = len(client.nthreads())
        self.at_once = min(_IMAGES_AT_MOST, max(_IMAGES_AT_LEAST, 2 * self.workers))
        self._stopped = False
        self._waiting: set[Future[Any]] = set()
        self._lock = threading.Lock()
        name, best, precision = self._call(tasks.describe, orders)
        self.orders = replace(orders, runtime=name, precision=precision)
        self.runtime = _Elsewhere(name, batch or best, precision)

    @property
    def precision(self) -> str:
        """The precision in which the network is computed."""
        return self.runtime.precision

    def fingerprint(self, job: Job, slide: Slide) -> str:
        """Return the SHA-256 of the image."""
        return self._call(tasks.fingerprint, _located(job))

    def plan(self, job: Job, slide: Slide) -> Plan:
        """Settle how the image is looked at."""
        return self._call(tasks.plan, self.orders, _located(job), self.settings)

    def carry_out(
        self, job: Job, slide: Slide, plan: Plan, image_sha256: str, blocks: Path, tell: Progress
    ) -> Detections:
        """Do what the plan says, and keep what is finished in the folder ``blocks``."""
        job = _located(job)
        made = provenance(slide, self.model, plan, image_sha256, self.runtime)
        store = block_store(blocks, plan, made, self.runtime.batch)
        parts = self._blocks(job, plan, store, Teller(plan, slide.mpp, tell))
        whole = Candidates.join(parts)
        found = finish(whole, plan, made)
        return self._call(tasks.complete, self.orders, job, plan, found, whole.seen)

    def close(self) -> None:
        """Give up what is not finished and leave the cluster."""
        self._stopped = True
        with self._lock:
            waiting = list(self._waiting)
        if self.client.status == "running":
            self.client.cancel(waiting)
        self.client.close()

    def _blocks(self, job: Job, plan: Plan, store: Checkpoint, tell: Teller) -> list[Candidates]:
        """Return what is in the blocks, those that are stored and those that workers look at."""
        from distributed import as_completed

        found: list[Candidates | None] = []
        missing: dict[Future[Candidates], int] = {}
        blocks = blocks_of(plan)
        with self._awaited() as submit:
            for number, tiles in enumerate(blocks):
                found.append(store.load(number))
                if found[number] is None:
                    part = _part(plan, tiles)
                    future = submit(tasks.look, self.orders, job, part, self.runtime.batch)
                    missing[future] = number
                else:
                    tell(tiles)
            for future in as_completed(list(missing), loop=self.client.loop):
                number = missing.pop(future)
                here = found[number] = future.result()
                future.release()
                store.save(number, here)
                tell(blocks[number])
        return [part for part in found if part is not None]

    def _call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function on any worker, before the blocks that wait, and return its result."""
        with self._awaited(priority=_FIRST) as submit:
            result: T = submit(function, *arguments).result()
            return result

    @contextmanager
    def _awaited(self, priority: int = 0) -> Iterator[Callable[..., Future[Any]]]:
        """Give a function that submits tasks, forget them at the end, and put errors in words."""
        from distributed.scheduler import KilledWorker

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
            self._go_on()
            yield submit
            self._go_on()
        except KilledWorker as error:
            raise MetaphaseError(
                f"its workers died, one after the other ({error.last_worker.address} at last): "
                "perhaps they have too little memory (2 GB each are enough)"
            ) from error
        except InputError as error:
            raise MetaphaseError(
                f"{error} (a worker said so: workers read images and models by the same paths)"
            ) from error
        except MetaphaseError:
            raise
        except CancelledError as error:
            raise self._interrupted() from error
        except Exception as error:
            if self._stopped or self.client.status != "running":
                raise self._interrupted() from error
            raise
        finally:
            with self._lock:
                self._waiting.difference_update(mine)
            if not self._stopped:
                for future in mine:
                    future.release()

    def _go_on(self) -> None:
        if self._stopped:
            raise self._interrupted()

    def _interrupted(self) -> InterruptedRunError:
        why = "interrupted" if self._stopped else "the scheduler is gone"
        return InterruptedRunError(f"{why}; finished work is kept: the same command goes on")


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
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[DaskExecutor]:
    """Connect to a Dask scheduler and wait for its first worker.

    ``address`` is that of the scheduler (``tcp://host:8786``, ``tls://...``) or the path of a
    scheduler file. ``device``, ``precision`` and ``threads`` are those of each worker (threads
    unasked: as many as it was started with; a precision of "auto" is settled by the first one).
    ``tell`` is told what is waited for. Raises MissingExtraError, or MetaphaseError where nobody
    answers.
    """
    client = _connect(address)
    cluster = None
    try:
        if not client.nthreads():
            tell(f"waiting for workers of {address}")
        try:
            client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError:
            raise MetaphaseError(
                f"{address} has no workers: start some with 'dask worker {address}'"
            ) from None
        orders = Orders(_name_of(model), model.id, device, threads, precision=precision)
        cluster = DaskExecutor(client, orders, model, settings, batch)
        yield cluster
    finally:
        if cluster is not None:
            cluster.close()
        else:
            client.close()


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


def _name_of(model: Model) -> str:
    """Return what a worker finds a model by: models in the package by name."""
    folder = model.folder.resolve()
    return folder.name if folder.parent == ZOO.resolve() else str(folder)


def _located(job: Job) -> Job:
    """Return a job whose paths mean the same wherever they are read."""
    case = job.case
    if case is not None and case.image is not None:
        case = replace(case, image=case.image.resolve(), figures=())
    return replace(job, image=job.image.resolve(), case=case)


def _part(plan: Plan, tiles: np.ndarray[Any, np.dtype[np.int64]]) -> Plan:
    """Return what looking at some tiles takes, small enough to be sent with every block."""
    grid = plan.grid
    bare = Grid(grid.width_px, grid.height_px, grid.scale, grid.tile, grid.margin)
    return replace(plan, grid=bare, tiles=tiles, roi=None, tissue=None, parameters={})
