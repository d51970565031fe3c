"""Several runs trained in parallel, each in a process of its own with its part of the processor.

A small network on several threads waits more than it computes: on two cores, two runs with one
thread each end sooner than one after the other with two threads.
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
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.runfolder import RunFolder
from metaphase.training.train import finished, train

_POLL_S = 1.0
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def train_in_parallel(
    runs: Mapping[str, tuple[Recipe, Path]],
    jobs: int,
    *,
    show: bool = True,
    progress: Callable[[str], None] = lambda message: None,
) -> None:
    """Train the runs (recipe and folder, by name) that are not finished, ``jobs`` at a time.

    A run that fails is reported and stops no other; ``train`` then raises its error. Raises
    InterruptedRunError on Ctrl-C; the same call resumes.
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
        initializer=_set_threads,
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
            _follow(jobs_of, left, bars, progress)
    except KeyboardInterrupt:
        # The processes have got the signal, too, and keep their checkpoints.
        raise InterruptedRunError("interrupted; the same command resumes") from None
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
    progress: Callable[[str], None],
) -> None:
    """Show the progress of each run until all have ended."""
    tasks = {
        name: bars.add_task(name, total=recipe.trainer.epochs, completed=_epochs(folder))
        for name, (recipe, folder) in runs.items()
    }
    waiting = set(jobs)
    while waiting:
        done, waiting = wait(waiting, timeout=_POLL_S)
        for name, (_, folder) in runs.items():
            bars.update(tasks[name], completed=_epochs(folder))
        for job in done:
            error = job.result()
            progress(f"{jobs[job]}: {'trained' if error is None else error}")


def _epochs(folder: Path) -> int:
    path = RunFolder(folder).metrics
    return max(0, len(path.read_text(encoding="utf-8").splitlines()) - 1) if path.is_file() else 0


def _set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _train(recipe: Recipe, folder: Path) -> str | None:
    """Train one run and return its error in words."""
    try:
        train(recipe, out=folder, show=False)
    except MetaphaseError as error:
        return str(error)
    return None
