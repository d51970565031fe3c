"""Detection in many images with one call, as ``metaphase detect`` does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from metaphase.detection.batch import (
    BatchEvents,
    BatchOptions,
    Marks,
    Outcome,
    default_marks,
    detect_batch,
    log,
)
from metaphase.detection.executor import Executor, LocalExecutor
from metaphase.detection.inputs import Job, jobs_for_cases, jobs_for_paths
from metaphase.detection.plan import Region, Settings
from metaphase.detection.runtime import Runtime, open_runtime
from metaphase.labels.dataset import Dataset
from metaphase.locks import output_folder
from metaphase.models.modelfile import DEFAULT_NAME, Model, load_model

Images = Dataset | Iterable[str | Path] | str | Path


def detect_images(
    images: Images,
    out: str | Path,
    model: Model | str | Path = DEFAULT_NAME,
    *,
    mpp: float | None = None,
    force_mpp: bool = False,
    scanner: str | None = None,
    threshold: float | None = None,
    min_score: float = 0.05,
    region: Region | None = None,
    roi: str | Path | None = None,
    tissue: bool | None = None,
    keep_stains: bool = False,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    batch: int | None = None,
    runtime: Runtime | None = None,
    cluster: str | None = None,
    overlay: bool | None = None,
    overwrite: bool = False,
    redraw: bool = False,
    marks: Marks | None = None,
    on_finished: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Find mitotic figures in many images and write one folder for each into ``out``.

    ``images`` is an image, a folder, a ``.txt`` list, several of these, or a data set. Finished
    images are listed in ``summary.csv``, and skipped by later calls unless ``overwrite``. An image
    that fails is listed in ``failures.csv``; the others continue. After an interruption the same
    call resumes. The other options are those of ``detect``. ``cluster`` is the address of a Dask
    scheduler. ``overlay`` None draws overlays for at most 20 images; ``marks`` chooses what they
    show (``redraw``: those of finished images too). ``on_finished`` is called after each image.

    Returns the outcomes in the order of the images; ``load_detections(out / name)`` reads a result.
    Raises InputError or MissingExtraError for what concerns all images.
    """
    model = model if isinstance(model, Model) else load_model(model)
    settings = Settings(
        threshold=threshold,
        min_score=min_score,
        region=region,
        roi=None if roi is None else Path(roi),
        tissue=tissue,
        keep_stains=keep_stains,
    )
    output_folder(out)  # report a folder that cannot be written before anything else
    jobs = jobs_for(images, out, mpp=mpp, scanner=scanner, force_mpp=force_mpp)
    options = BatchOptions(overwrite, overlay, redraw, marks or default_marks)
    events = BatchEvents(finished=on_finished)
    with open_executor(
        model,
        settings,
        runtime=runtime,
        cluster=cluster,
        device=device,
        precision=precision,
        threads=threads,
        batch=batch,
    ) as executor:
        return detect_batch(executor, jobs, model, out, settings, options, events)


@contextmanager
def open_executor(
    model: Model,
    settings: Settings,
    *,
    runtime: Runtime | None = None,
    cluster: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    batch: int | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> Iterator[Executor]:
    """Open this process, or a Dask cluster, as an executor. ``report`` gets a line about it."""
    name = f"{model.card.name} ({model.id[:12]})"
    if cluster is None:
        runtime = runtime or open_runtime(model, device, threads=threads, precision=precision)
        report(f"{name} on {runtime.name}")
        log.debug("%s on %s, %s", name, runtime.name, runtime.precision)
        yield LocalExecutor(model, runtime, settings, batch)
        return
    from metaphase.detection.daskexecutor import open_cluster

    with open_cluster(
        cluster,
        model,
        settings,
        device=device,
        threads=threads,
        precision=precision,
        batch=batch,
        report=report,
    ) as executor:
        workers = f"{executor.workers} worker{'s' * (executor.workers != 1)} of {cluster}"
        report(f"{name} on {executor.runtime.name}, by {workers}")
        yield executor


def jobs_for(
    images: Images,
    out: str | Path,
    *,
    mpp: float | None = None,
    scanner: str | None = None,
    force_mpp: bool = False,
) -> list[Job]:
    """Return a job for each image that a user named."""
    if isinstance(images, Dataset):
        return jobs_for_cases(images, mpp=mpp, force_mpp=force_mpp, out=out)
    paths = [images] if isinstance(images, str | Path) else images
    return jobs_for_paths(paths, mpp=mpp, scanner=scanner, force_mpp=force_mpp, out=out)
