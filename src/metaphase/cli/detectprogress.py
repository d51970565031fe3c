"""The progress of ``metaphase detect``: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from metaphase.detection.batch import BatchEvents, Outcome
from metaphase.detection.inputs import Job

LOG_EVERY_S = 30.0
"""Seconds between the lines that show progress where no bar can be drawn."""

_STATUS = {"done": "done", "skipped": "finished before", "failed": "failed"}


class DetectProgress:
    """Shows the events of a batch: progress on stderr, one line per image on stdout.

    ``together``: several images are in work at a time, and progress is that of all.
    """

    def __init__(self, bar: Progress, images: int, *, together: bool) -> None:
        self.bar = bar
        self.images = images
        self.together = together
        self._task = bar.add_task("", total=None, rate="", visible=False)
        self._started = self._ended = 0
        self._title = ""
        self._logged_at = time.monotonic()

    @property
    def events(self) -> BatchEvents:
        """The functions that the batch calls."""
        return BatchEvents(self.started, self.progress, self.finished)

    def started(self, job: Job) -> None:
        """Show that an image has begun."""
        self._started += 1
        self._logged_at = time.monotonic()
        if self.together and self._started > 1:
            return
        self._title = (
            f"0/{self.images} images"
            if self.together
            else f"{self._started}/{self.images} {job.name}"
        )
        self.bar.reset(self._task, description=self._title, total=0, rate="", visible=True)

    def progress(self, done: float, total: float) -> None:
        """Show the mm2 that are done, and in all."""
        waited = time.monotonic() - self._logged_at
        if not self.bar.console.is_terminal and waited > LOG_EVERY_S:
            self._logged_at = time.monotonic()
            typer.echo(f"{self._title}: {done:.2f} of {total:.2f} mm2", err=True)
        speed = self.bar.tasks[0].speed
        rate = f"{speed:.2f} mm2/s" if speed else ""
        self.bar.update(self._task, completed=done, total=total, rate=rate)

    def finished(self, outcome: Outcome) -> None:
        """Print the notes and the line of an image."""
        self._ended += 1
        if self.together:
            self._title = f"{self._ended}/{self.images} images"
        visible = self.together and self._ended < self.images
        self.bar.update(self._task, visible=visible, description=self._title)
        for note in outcome.notes:
            typer.echo(f"note: {note}", err=True)
        typer.echo(outcome_line(outcome), err=outcome.status == "failed")


@contextmanager
def show_progress(
    images: int, *, together: bool = False, quiet: bool = False
) -> Iterator[BatchEvents]:
    """Show a progress bar while the block runs; give the events to call.

    ``quiet`` prints the failures alone.
    """
    if quiet:
        yield BatchEvents(finished=_print_failure)
        return
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.2f}/{task.total:.2f} mm2  {task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        disable=not console.is_terminal,
    ) as bar:
        yield DetectProgress(bar, images, together=together).events


def _print_failure(outcome: Outcome) -> None:
    if outcome.status == "failed":
        typer.echo(outcome_line(outcome), err=True)


def outcome_line(outcome: Outcome) -> str:
    """Return the line of an image."""
    if outcome.status == "failed":
        return f"{outcome.job.name}: failed: {outcome.reason}"
    figures = f"{outcome.figures} mitotic figure{'s' * (outcome.figures != 1)}"
    if outcome.status == "skipped":
        return f"{outcome.job.name}: {figures} (finished before)"
    return f"{outcome.job.name}: {figures} in {outcome.area_mm2:.2f} mm2, {outcome.seconds:.1f} s"


def summary_line(outcomes: list[Outcome]) -> str:
    """Return how many images were done, skipped and failed."""
    counts = {status: sum(o.status == status for o in outcomes) for status in _STATUS}
    parts = ", ".join(f"{n} {_STATUS[status]}" for status, n in counts.items() if n)
    return f"{len(outcomes)} image{'s' * (len(outcomes) != 1)}: {parts}"
