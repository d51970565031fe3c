"""What a worker of a cluster does: it opens the model once, and looks at blocks of slides.

One block is looked at in a process at a time, with all threads of the worker: the network shares
them better than two networks would.
"""

from __future__ import annotations

import pickle
import socket
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase import __version__
from metaphase.detection import detect
from metaphase.detection.checkpoint import Candidates
from metaphase.detection.detect import find, fingerprint_of_image
from metaphase.detection.inputs import Job
from metaphase.detection.plan import Plan, Settings, make_plan
from metaphase.detection.runtime import Runtime, open_runtime, runtime_precision
from metaphase.errors import MetaphaseError
from metaphase.figures import Detections
from metaphase.models.modelfile import Model, load_model
from metaphase.slides.slide import Slide

_SLIDES = 2  # kept open, since the next block is mostly of the same slide


@dataclass(frozen=True)
class Orders:
    """How workers run a model. ``model`` is its folder, or its name inside the package.

    ``precision`` is "auto" for the first worker alone: the others are told what that one took.
    ``runtime`` is the name of the runtime that all have to have ("": any): rounding differs from
    one to the other, and half a slide each would be no result.
    """

    model: str
    model_id: str
    device: str
    threads: int | None
    metaphase: str = __version__
    runtime: str = ""
    precision: str = "auto"


_opened: dict[tuple[str, str, str, int | None, str], tuple[Model, Runtime]] = {}
_opening, _looking = threading.Lock(), threading.Lock()
_slides: OrderedDict[Any, Slide] = OrderedDict()


def opened(orders: Orders) -> tuple[Model, Runtime]:
    """Return the model and what runs it, opened at the first call in this process.

    Raises MetaphaseError where this worker would not give what the others give.
    """
    who = orders.model, orders.model_id, orders.device, orders.threads
    key = *who, orders.precision
    with _opening:
        if key not in _opened:
            _check("metaphase", __version__, orders.metaphase)
            model = load_model(orders.model)
            _check("the model's id", model.id, orders.model_id)
            runtime = open_runtime(
                model, orders.device, threads=_threads(orders), precision=orders.precision
            )
            _opened[key] = _opened[*who, runtime_precision(runtime)] = model, runtime
    model, runtime = _opened[key]
    _check("the runtime", runtime.name, orders.runtime or runtime.name)
    return model, runtime


def describe(orders: Orders) -> tuple[str, int, str]:
    """Return the name of the runtime here, the tiles that it takes at a time, its precision."""
    _, runtime = opened(orders)
    return runtime.name, int(getattr(runtime, "batch", 1)), runtime_precision(runtime)


def fingerprint(job: Job) -> str:
    """Return the SHA-256 of an image."""
    with job.open() as slide:
        return fingerprint_of_image(slide)


def plan(orders: Orders, job: Job, settings: Settings) -> Plan:
    """Settle how an image is looked at."""
    model, _ = opened(orders)
    with job.open() as slide:
        return make_plan(slide, model, settings)


def look(orders: Orders, job: Job, part: Plan, batch: int) -> Candidates:
    """Return the candidates of one block: of all tiles of ``part``."""
    model, runtime = opened(orders)
    with _looking:
        return find(_slide(job), model, part, runtime, batch=batch)


def complete(
    orders: Orders, job: Job, plan: Plan, found: Detections, seen: NDArray[np.float64]
) -> Detections:
    """Do what is left when the blocks are merged; see ``detect.complete``."""
    model, runtime = opened(orders)
    with _looking:
        return detect.complete(found, seen, _slide(job), plan, model, runtime)


def _slide(job: Job) -> Slide:
    """Return an image, kept open for the next block. A file that was changed is opened anew."""
    told = job.image.stat() if job.image.exists() else None
    key = pickle.dumps(job), told and (told.st_mtime_ns, told.st_size, told.st_ino)
    if key not in _slides:
        while len(_slides) >= _SLIDES:
            _slides.popitem(last=False)[1].close()
        _slides[key] = job.open()
    _slides.move_to_end(key)
    return _slides[key]


def _threads(orders: Orders) -> int:
    if orders.threads is not None:
        return orders.threads
    from distributed import get_worker

    return int(get_worker().state.nthreads)


def _check(what: str, here: str, wanted: str) -> None:
    if here != wanted:
        raise MetaphaseError(
            f"on the worker {socket.gethostname()} {what} is {here}, elsewhere {wanted}: install "
            "the same everywhere, or name a --device that all have"
        )
