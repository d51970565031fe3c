"""The tasks of a cluster's workers. A worker opens the model once and computes blocks of slides.

A process computes one block at a time, with all threads of the worker: one network uses them better
than two.
"""

from __future__ import annotations

import pickle
import socket
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from metaphase import __version__
from metaphase.allocator import limit_pools
from metaphase.detection.candidates import Candidates
from metaphase.detection.detect import finish_detections, hash_image
from metaphase.detection.inputs import Job
from metaphase.detection.pipeline import find_candidates
from metaphase.detection.plan import Plan, Settings, make_plan
from metaphase.detection.runtime import Runtime, open_runtime
from metaphase.errors import MetaphaseError
from metaphase.figures import Detections
from metaphase.models.modelfile import Model, load_model
from metaphase.slides.slide import Slide

_MAX_SLIDES = 2  # kept open, since the next block is mostly of the same slide


@dataclass(frozen=True)
class WorkerSetup:
    """How workers run a model. ``model`` is its folder, or the name of a bundled model.

    ``precision`` is "auto" for the first worker only; the others get the one that it chose.
    ``runtime`` is the name of the runtime that all workers must have ("": any). Runtimes round
    differently, and half a slide of each would be no result.
    """

    model: str
    model_id: str
    device: str
    threads: int | None
    metaphase: str = __version__
    runtime: str = ""
    precision: str = "auto"


_opened: dict[tuple[str, str, str, int | None, str], tuple[Model, Runtime]] = {}
_open_lock, _compute_lock = threading.Lock(), threading.Lock()
_slides: OrderedDict[Any, Slide] = OrderedDict()


def open_model(setup: WorkerSetup) -> tuple[Model, Runtime]:
    """Return the model and its runtime, opened by the first call in this process.

    Raises MetaphaseError where this worker would not compute what the others compute.
    """
    common = setup.model, setup.model_id, setup.device, setup.threads
    key = *common, setup.precision
    with _open_lock:
        if key not in _opened:
            _check("metaphase", __version__, setup.metaphase)
            limit_pools()
            model = load_model(setup.model)
            _check("the model's id", model.id, setup.model_id)
            runtime = open_runtime(
                model, setup.device, threads=_threads(setup), precision=setup.precision
            )
            _opened[key] = _opened[*common, runtime.precision] = model, runtime
    model, runtime = _opened[key]
    _check("the runtime", runtime.name, setup.runtime or runtime.name)
    return model, runtime


def describe_runtime(setup: WorkerSetup) -> tuple[str, int, str]:
    """Return name, batch and precision of the runtime of this worker."""
    _, runtime = open_model(setup)
    return runtime.name, runtime.batch, runtime.precision


def hash_of_image(job: Job) -> str:
    """Return the SHA-256 of an image."""
    with job.open() as slide:
        return hash_image(slide)


def plan_image(setup: WorkerSetup, job: Job, settings: Settings) -> Plan:
    """Return the plan of an image."""
    model, _ = open_model(setup)
    with job.open() as slide:
        return make_plan(slide, model, settings)


def compute_block(setup: WorkerSetup, job: Job, part: Plan, batch: int) -> Candidates:
    """Return the candidates of one block: of all tiles of ``part``."""
    model, runtime = open_model(setup)
    with _compute_lock:
        return find_candidates(_slide(job), model, part, runtime, batch=batch, sample=())


def finish_image(
    setup: WorkerSetup, job: Job, plan: Plan, detections: Detections, candidates: Candidates
) -> Detections:
    """Apply what follows the merging; see ``detect.finish_detections``."""
    model, runtime = open_model(setup)
    with _compute_lock:
        return finish_detections(detections, candidates, _slide(job), plan, model, runtime)


def _slide(job: Job) -> Slide:
    """Return an image, kept open for the next block. A file that has changed is opened again."""
    stat = job.image.stat() if job.image.exists() else None
    key = pickle.dumps(job), stat and (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    if key not in _slides:
        while len(_slides) >= _MAX_SLIDES:
            _slides.popitem(last=False)[1].close()
        _slides[key] = job.open()
    _slides.move_to_end(key)
    return _slides[key]


def _threads(setup: WorkerSetup) -> int:
    if setup.threads is not None:
        return setup.threads
    from distributed import get_worker

    return int(get_worker().state.nthreads)


def _check(what: str, here: str, expected: str) -> None:
    if here != expected:
        raise MetaphaseError(
            f"on the worker {socket.gethostname()} {what} is {here}, elsewhere {expected}: install "
            "the same everywhere, or name a --device that all have"
        )
