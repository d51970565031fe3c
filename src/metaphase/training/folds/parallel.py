"""Train several runs side by side, each in a process of its own with its part of the processor.

A small network on a few threads waits more than it computes: on two cores, two runs with one thread
each are done sooner than one after the other with two.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from metaphase.errors import InterruptedRunError, MetaphaseError
from metaphase.training.fit.history import METRICS_NAME
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.train import finished, train

_LOOK_S = 1.0
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def train_side_by_side(
    runs: Mapping[str, tuple[Recipe, Path]],
    jobs: int,
    *,
    show: bool = True,
    tell: Callable[[str], None] = lambda message: None,
) -> None:
    """Train the runs (recipe and folder, by name) that are not finished, ``jobs`` at a time.

    One that fails is told of and stops no other; trained again by ``train``, it raises what is
    wrong with it. Raises InterruptedRunError on Ctrl-C; the same call goes on.
    """
    left = {name: run for name, run in runs.items() if not finished(run[1])}
    if not left:
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, str(threads)))  # read when a process starts
    pool = ProcessPoolExecutor(
        min(jobs, len(left)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(threads,),
    )
    try:
        with (
            pool,
            Progress(
                *columns,
                TextColumn("epochs"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
                disable=not show,
            ) as bars,
        ):
            jobs_of = {pool.submit(_train, *run): name for name, run in left.items()}
            _follow(jobs_of, left, bars, tell)
    except KeyboardInterrupt:
        # The processes have had the signal too, and have kept where they are.
        raise InterruptedRunError("interrupted; the same command goes on") from None
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _follow(
    jobs: Mapping[Future[str | None], str],
    runs: Mapping[str, tuple[Recipe, Path]],
    bars: Progress,
    tell: Callable[[str], None],
) -> None:
    """Draw how far each run is, until all have ended."""
    tasks = {
        name: bars.add_task(name, total=recipe.trainer.epochs, completed=_epochs(folder))
        for name, (recipe, folder) in runs.items()
    }
    waiting = set(jobs)
    while waiting:
        done, waiting = wait(waiting, timeout=_LOOK_S)
        for name, (_, folder) in runs.items():
            bars.update(tasks[name], completed=_epochs(folder))
        for job in done:
            wrong = job.result()
            tell(f"{jobs[job]}: {'trained' if wrong is None else wrong}")


def _epochs(folder: Path) -> int:
    path = folder / METRICS_NAME
    return max(0, len(path.read_text(encoding="utf-8").splitlines()) - 1) if path.is_file() else 0


def _begin(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _train(recipe: Recipe, folder: Path) -> str | None:
    """Train one; return what is wrong with it, in words: errors of ours do not travel."""
    try:
        train(recipe, out=folder, show=False)
    except MetaphaseError as error:
        return str(error)
    return None
