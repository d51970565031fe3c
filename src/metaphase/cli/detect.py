"""``metaphase detect``: mitotic figures in images, slides, folders, lists and data sets."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, option

if TYPE_CHECKING:
    from metaphase.detection.batch import Marks, Outcome, Watcher
    from metaphase.detection.executor import Executor
    from metaphase.detection.inputs import Job
    from metaphase.detection.plan import Settings
    from metaphase.labels.dataset import Dataset
    from metaphase.models.modelfile import Model

app = typer.Typer(add_completion=False)

_INPUT, _REGION, _RESULT, _MACHINE = "Input", "Region of the slide", "Result", "Execution"
_LOG_EVERY_S = 30.0  # where no bar can be drawn, a line now and then shows that it lives


def _cases_as_labels(values: dict[str, Any], rest: list[str]) -> str | None:
    """Accept ``--cases LABELS``, with which ``--labels`` had no effect."""
    if "cases" not in values:
        return None
    labels = values.pop("cases")
    if values.get("images") or values.get("labels", labels) != labels:
        raise typer.BadParameter("--cases is deprecated: name the labels with --labels only")
    values["labels"] = labels
    return "--cases is deprecated: use --labels"


@app.command(
    cls=command_class(
        renamed={"--again": "--overwrite", "--own-stains": "--keep-stains"},
        removed={"--first-look": "leaving out tiles saved no time"},
        legacy=_cases_as_labels,
        needs={
            "--images": "--labels",
            "--split": "--labels",
            "--part": "--split",
            "--force-mpp": "--mpp",
        },
    )
)
def detect(
    out: Annotated[Path, option("--out")],
    images: Annotated[list[Path] | None, argument("images")] = None,
    model: Annotated[str | None, option("--model", default="compact")] = None,
    labels: Annotated[Path | None, option("--labels", panel=_INPUT)] = None,
    image_folder: Annotated[Path | None, option("--images", panel=_INPUT)] = None,
    split: Annotated[Path | None, option("--split", panel=_INPUT)] = None,
    part: Annotated[str | None, option("--part", panel=_INPUT, default="test")] = None,
    mpp: Annotated[float | None, option("--mpp", panel=_INPUT)] = None,
    force_mpp: Annotated[bool, option("--force-mpp", panel=_INPUT)] = False,
    scanner: Annotated[str | None, option("--scanner", panel=_INPUT)] = None,
    region: Annotated[str | None, option("--region", panel=_REGION)] = None,
    roi: Annotated[Path | None, option("--roi", panel=_REGION)] = None,
    tissue: Annotated[bool | None, option("--tissue", panel=_REGION)] = None,
    keep_stains: Annotated[bool, option("--keep-stains", panel=_RESULT)] = False,
    threshold: Annotated[float | None, option("--threshold", panel=_RESULT)] = None,
    min_score: Annotated[float, option("--min-score", panel=_RESULT)] = 0.05,
    overlay: Annotated[bool, option("--overlay", panel=_RESULT)] = True,
    overwrite: Annotated[bool, option("--overwrite", panel=_RESULT)] = False,
    device: Annotated[str, option("--device", panel=_MACHINE)] = "auto",
    precision: Annotated[str, option("--precision", panel=_MACHINE)] = "auto",
    threads: Annotated[int | None, option("--threads", panel=_MACHINE)] = None,
    batch: Annotated[int | None, option("--batch", panel=_MACHINE)] = None,
    cluster: Annotated[str | None, option("--cluster", panel=_MACHINE)] = None,
    cases: Annotated[Path | None, typer.Option(hidden=True)] = None,  # moved by _cases_as_labels
) -> None:
    """Find mitotic figures in images and slides.

    Each image gets a folder in OUT with detections.csv, detections.json, detections.geojson (for
    QuPath) and overlay.png. Finished images are skipped. Images that fail are listed in
    OUT/failures.csv and the others go on.

    Exit code: 0 all is well, 1 some images failed, 2 wrong usage, 130 interrupted (the same
    command goes on where it was).
    """
    from metaphase.detection.batch import How, detect_batch
    from metaphase.detection.plan import Settings, parse_region
    from metaphase.errors import InterruptedRunError
    from metaphase.models.modelfile import default_model, load_model
    from metaphase.slides.mask import read_polygons

    settings = Settings(
        threshold=threshold,
        min_score=min_score,
        region=None if region is None else parse_region(region),
        roi=roi,
        tissue=tissue,
        own_stains=keep_stains,
    )
    if roi is not None:
        read_polygons(roi)  # to be told of a wrong file once, not once an image
    dataset = _dataset(labels, image_folder)
    jobs = _jobs(images or [], dataset, split, part, mpp, scanner, force_mpp)
    opened = load_model(model or default_model())
    how = How(overwrite, overlay, redraw=labels is not None and bool(images), marks=_marks(dataset))
    try:
        with (
            _engine(cluster, opened, settings, (device, precision), threads, batch) as executor,
            _watching(len(jobs), together=executor.at_once > 1) as watcher,
        ):
            outcomes = detect_batch(executor, jobs, opened, out, settings, how, watcher)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"interrupted; finished work is kept in {out}: the same command goes on from there"
        ) from None
    _sum_up(outcomes, out)


@contextmanager
def _engine(
    cluster: str | None,
    model: Model,
    settings: Settings,
    how: tuple[str, str],
    threads: int | None,
    batch: int | None,
) -> Iterator[Executor]:
    """Open what does the work, and say what it is. ``how`` is the device and the precision."""
    device, precision = how
    name = f"{model.card.name} ({model.id[:12]})"
    if cluster is None:
        from metaphase.detection.executor import LocalExecutor
        from metaphase.detection.runtime import open_runtime

        runtime = open_runtime(model, device, threads=threads, precision=precision)
        typer.echo(f"{name} on {runtime.name}", err=True)
        yield LocalExecutor(model, runtime, settings, batch)
        return
    from metaphase.detection.daskexecutor import open_cluster

    def tell(text: str) -> None:
        typer.echo(text, err=True)

    with open_cluster(
        cluster,
        model,
        settings,
        device=device,
        threads=threads,
        precision=precision,
        batch=batch,
        tell=tell,
    ) as executor:
        workers = f"{executor.workers} worker{'s' * (executor.workers != 1)} of {cluster}"
        tell(f"{name} on {executor.runtime.name}, by {workers}")
        yield executor


def _dataset(labels: Path | None, image_folder: Path | None) -> Dataset | None:
    from metaphase.labels.read import load_dataset

    return None if labels is None else load_dataset(labels, images=image_folder)


def _jobs(
    images: list[Path],
    dataset: Dataset | None,
    split: Path | None,
    part: str | None,
    mpp: float | None,
    scanner: str | None,
    force_mpp: bool,
) -> list[Job]:
    from metaphase.detection.inputs import jobs_for_cases, jobs_for_paths

    if images:
        if split is not None:
            raise typer.BadParameter("--split has no effect where images are named")
        return jobs_for_paths(images, mpp=mpp, scanner=scanner, force_mpp=force_mpp)
    if dataset is None:
        raise typer.BadParameter("name images, or the labels of a data set with --labels")
    if scanner is not None:
        raise typer.BadParameter("--scanner has no effect: the labels state the scanners")
    if split is not None:
        dataset = dataset.select(_part(split, part or "test"))
    return jobs_for_cases(dataset, mpp=mpp, force_mpp=force_mpp)


def _part(path: Path, part: str) -> tuple[str, ...]:
    from metaphase.labels.splits import load_split

    split = load_split(path)
    ids: tuple[str, ...] | None = getattr(split, part, None)
    if part not in ("training", "validation", "test", "unlabelled") or ids is None:
        raise typer.BadParameter(f"{part!r} is not training, validation, test or unlabelled")
    if not ids:
        raise typer.BadParameter(f"{path}: its part {part!r} is empty")
    return ids


def _marks(dataset: Dataset | None) -> Marks:
    """Return what overlays show: agreement with the labels where there are any."""
    from metaphase.detection.overlay import marks_against, marks_of
    from metaphase.figures import Detections, Label, points_of
    from metaphase.units import MATCH_RADIUS_UM, um_to_px

    def marks(job: Job, detections: Detections) -> list:  # type: ignore[type-arg]
        case = job.case or (
            dataset[job.image.stem] if dataset and job.image.stem in dataset else None
        )
        if case is None or not case.labelled:
            return marks_of(detections)
        from metaphase.evaluation.matching import match

        found = detections.above_threshold().with_label(Label.MITOTIC)
        truth = points_of(case.figures)
        radius = um_to_px(MATCH_RADIUS_UM, detections.provenance.mpp)
        matching = match(truth, found.points, found.score, radius)
        missed = truth[matching.point_of_truth < 0]
        return marks_against(found, matching.truth_of_point >= 0, missed)

    return marks


@contextmanager
def _watching(images: int, *, together: bool = False) -> Iterator[Watcher]:
    """Show progress on stderr and print a line an image on stdout.

    ``together``: several images are in work at once, and progress is that of all.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from metaphase.detection.batch import Watcher

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.2f}/{task.total:.2f} mm2  {task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=None, rate="", visible=False)
        count, ended, name, told = 0, 0, "", 0.0

        def begins(job: Job) -> None:
            nonlocal count, name, told
            count, told = count + 1, time.monotonic()
            if not together:
                name = f"{count}/{images} {job.name}"
                bar.reset(task, description=name, total=0, rate="", visible=True)
            elif count == 1:
                name = f"0/{images} images"
                bar.reset(task, description=name, total=0, rate="", visible=True)

        def progress(done: float, total: float) -> None:
            nonlocal told
            if not console.is_terminal and time.monotonic() - told > _LOG_EVERY_S:
                told = time.monotonic()
                typer.echo(f"{name}: {done:.2f} of {total:.2f} mm2", err=True)
            speed = bar.tasks[0].speed
            rate = f"{speed:.2f} mm2/s" if speed else ""
            bar.update(task, completed=done, total=total, rate=rate)

        def ends(outcome: Outcome) -> None:
            nonlocal ended, name
            ended += 1
            if together:
                name = f"{ended}/{images} images"
            bar.update(task, visible=together and ended < images, description=name)
            for note in outcome.notes:
                typer.echo(f"note: {note}", err=True)
            typer.echo(_line(outcome), err=outcome.status == "failed")

        yield Watcher(begins, progress, ends)


def _line(outcome: Outcome) -> str:
    if outcome.status == "failed":
        return f"{outcome.job.name}: failed: {outcome.reason}"
    figures = f"{outcome.figures} mitotic figure{'s' * (outcome.figures != 1)}"
    if outcome.status == "skipped":
        return f"{outcome.job.name}: {figures} (finished before)"
    return f"{outcome.job.name}: {figures} in {outcome.area_mm2:.2f} mm2, {outcome.seconds:.1f} s"


def _sum_up(outcomes: list[Outcome], out: Path) -> None:
    counts = {status: sum(o.status == status for o in outcomes) for status in _WORDS}
    said = ", ".join(f"{n} {_WORDS[status]}" for status, n in counts.items() if n)
    typer.echo(f"{len(outcomes)} image{'s' * (len(outcomes) != 1)}: {said}; see {out}")
    if counts["failed"]:
        typer.echo(f"the reasons are in {out / 'failures.csv'}", err=True)
        raise typer.Exit(1)


_WORDS = {"done": "done", "skipped": "finished before", "failed": "failed"}
