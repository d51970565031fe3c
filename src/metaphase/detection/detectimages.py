"""Detection in many images with one call, as ``metaphase detect`` does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from metaphase.detection.batch import How, Outcome, Watcher, detect_batch
from metaphase.detection.executor import Executor, LocalExecutor
from metaphase.detection.inputs import Job, jobs_for_cases, jobs_for_paths
from metaphase.detection.plan import Region, Settings
from metaphase.detection.runtime import Runtime, open_runtime
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import DEFAULT_NAME, Model, load_model


def detect_images(
    images: Dataset | Iterable[str | Path] | str | Path,
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
    overlay: bool = True,
    overwrite: bool = False,
    on_finished: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Find mitotic figures in many images and write one folder for each into ``out``.

    ``images`` is an image, a folder, a ``.txt`` list, several of these, or a data set. Finished
    images are skipped unless ``overwrite``. An image that fails is listed in ``failures.csv``; the
    others continue. After an interruption the same call resumes. The other options are those of
    ``detect``; ``cluster`` is the address of a Dask scheduler, ``on_finished`` is called after each
    image. Returns the outcomes in the order of the images; ``load_detections(out / name)`` reads a
    result. Raises InputError or MissingExtraError for what concerns all images.
    """
    model = model if isinstance(model, Model) else load_model(model)
    settings = Settings(
        threshold=threshold,
        min_score=min_score,
        region=region,
        roi=None if roi is None else Path(roi),
        tissue=tissue,
        own_stains=keep_stains,
    )
    jobs = _jobs(images, mpp=mpp, scanner=scanner, force_mpp=force_mpp)
    how = How(again=overwrite, overlay=overlay)
    with _executor(
        model, settings, runtime, cluster, device, precision, threads, batch
    ) as executor:
        return detect_batch(executor, jobs, model, out, settings, how, Watcher(ends=on_finished))


def _jobs(
    images: Dataset | Iterable[str | Path] | str | Path,
    *,
    mpp: float | None,
    scanner: str | None,
    force_mpp: bool,
) -> list[Job]:
    if isinstance(images, Dataset):
        return jobs_for_cases(images, mpp=mpp, force_mpp=force_mpp)
    paths = [images] if isinstance(images, str | Path) else images
    return jobs_for_paths([Path(p) for p in paths], mpp=mpp, scanner=scanner, force_mpp=force_mpp)


@contextmanager
def _executor(
    model: Model,
    settings: Settings,
    runtime: Runtime | None,
    cluster: str | None,
    device: str,
    precision: str,
    threads: int | None,
    batch: int | None,
) -> Iterator[Executor]:
    if cluster is None:
        runtime = runtime or open_runtime(model, device, threads=threads, precision=precision)
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
    ) as executor:
        yield executor
