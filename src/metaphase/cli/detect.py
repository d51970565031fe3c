"""``metaphase detect``: mitotic figures in images, slides, folders, lists and data sets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, option

if TYPE_CHECKING:
    from metaphase.detection.batch import Outcome
    from metaphase.labels.dataset import Dataset

app = typer.Typer(add_completion=False)

_INPUT, _REGION, _RESULT, _MACHINE = "Input", "Region of the slide", "Result", "Execution"


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
        renamed={"--again": "--overwrite", "--own-stains": "--keep-stains"},  # old word
        removed={"--first-look": "leaving out tiles saved no time"},  # old word
        legacy=_cases_as_labels,
        needs={
            "--images": "--labels",
            "--split": "--labels",
            "--part": "--split",
            "--force-mpp": "--mpp",
        },
        excludes={
            "--sample": ("--labels", "--images", "--split", "--mpp", "--scanner"),
            "--quiet": ("--verbose",),
        },
    )
)
def detect(
    out: Annotated[Path, option("--out")],
    images: Annotated[list[Path] | None, argument("images")] = None,
    model: Annotated[str | None, option("--model", default="compact")] = None,
    labels: Annotated[Path | None, option("--labels", panel=_INPUT)] = None,
    sample: Annotated[bool, option("--sample", panel=_INPUT)] = False,
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
    overlay: Annotated[bool | None, option("--overlay", panel=_RESULT)] = None,
    overwrite: Annotated[bool, option("--overwrite", panel=_RESULT)] = False,
    device: Annotated[str, option("--device", panel=_MACHINE)] = "auto",
    precision: Annotated[str, option("--precision", panel=_MACHINE)] = "auto",
    threads: Annotated[int | None, option("--threads", panel=_MACHINE)] = None,
    batch: Annotated[int | None, option("--batch", panel=_MACHINE)] = None,
    cluster: Annotated[str | None, option("--cluster", panel=_MACHINE)] = None,
    quiet: Annotated[bool, option("--quiet", panel=_MACHINE)] = False,
    verbose: Annotated[bool, option("--verbose", panel=_MACHINE)] = False,
    log_file: Annotated[Path | None, option("--log-file", panel=_MACHINE)] = None,
    cases: Annotated[Path | None, typer.Option(hidden=True)] = None,  # moved by _cases_as_labels
) -> None:
    """Find mitotic figures in images and slides.

    Each image gets a folder in OUT with detections.csv, detections.json, detections.geojson (for
    QuPath) and overlay.png, and a row in OUT/summary.csv. Finished images are skipped. Images that
    fail are listed in OUT/failures.csv; the others continue.

    Exit code: 0 success, 1 some images failed, 2 wrong usage, 130 interrupted (the same command
    resumes).
    """
    from metaphase.allocator import limit_pools
    from metaphase.cli.detectprogress import show_progress
    from metaphase.cli.log import logging_to
    from metaphase.detection.batch import (
        BatchOptions,
        default_marks,
        detect_batch,
        images_at_once,
    )
    from metaphase.detection.detectimages import jobs_for, open_executor
    from metaphase.detection.plan import Settings, parse_region
    from metaphase.errors import InterruptedRunError
    from metaphase.evaluation.overlaymarks import label_marks
    from metaphase.locks import output_folder
    from metaphase.models.modelfile import default_model, load_model
    from metaphase.qupath.geometry import read_polygons

    limit_pools()
    settings = Settings(
        threshold=threshold,
        min_score=min_score,
        region=None if region is None else parse_region(region),
        roi=roi,
        tissue=tissue,
        keep_stains=keep_stains,
    )
    if roi is not None:
        read_polygons(roi)  # report a wrong file once, not for every image
    if images and split is not None:
        raise typer.BadParameter("--split has no effect where images are named")
    if images and sample:
        raise typer.BadParameter("--sample has no effect where images are named")
    dataset = _dataset(_sample_labels() if sample else labels, image_folder)
    output_folder(out)  # report a folder that cannot be written before anything else
    named = images or _cases(dataset, split, part, scanner)
    jobs = jobs_for(named, out, mpp=mpp, scanner=scanner, force_mpp=force_mpp)
    opened = load_model(model or default_model())
    marks = default_marks if dataset is None else label_marks(dataset)
    options = BatchOptions(overwrite, overlay, bool(images) and dataset is not None, marks)
    try:
        with (
            logging_to(log_file, verbose=verbose),
            open_executor(
                opened,
                settings,
                cluster=cluster,
                device=device,
                precision=precision,
                threads=threads,
                batch=batch,
                report=(lambda text: None) if quiet else _report,
            ) as executor,
            show_progress(
                len(jobs), together=images_at_once(executor, len(jobs)) > 1, quiet=quiet
            ) as events,
        ):
            outcomes = detect_batch(executor, jobs, opened, out, settings, options, events)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"interrupted; finished work is kept in {out}: the same command resumes"
        ) from None
    _finish(outcomes, out)


def _report(text: str) -> None:
    typer.echo(text, err=True)


def _sample_labels() -> Path:
    from metaphase.labels.sample import FOLDER, LABELS_NAME

    return FOLDER / LABELS_NAME


def _dataset(labels: Path | None, image_folder: Path | None) -> Dataset | None:
    from metaphase.labels.read import load_dataset

    return None if labels is None else load_dataset(labels, images=image_folder)


def _cases(
    dataset: Dataset | None, split: Path | None, part: str | None, scanner: str | None
) -> Dataset:
    """Return the cases to analyse where no images are named."""
    if dataset is None:
        raise typer.BadParameter("name images, the labels of a data set with --labels, or --sample")
    if scanner is not None:
        raise typer.BadParameter("--scanner has no effect: the labels state the scanners")
    return dataset if split is None else dataset.select(_part(split, part or "test"))


def _part(path: Path, part: str) -> tuple[str, ...]:
    from metaphase.labels.split import load_split

    split = load_split(path)
    ids: tuple[str, ...] | None = getattr(split, part, None)
    if part not in ("training", "validation", "test", "unlabelled") or ids is None:
        raise typer.BadParameter(f"{part!r} is not training, validation, test or unlabelled")
    if not ids:
        raise typer.BadParameter(f"{path}: its part {part!r} is empty")
    return ids


def _finish(outcomes: list[Outcome], out: Path) -> None:
    """Print the summary. Exits with 1 where images failed."""
    from metaphase.cli.detectprogress import summary_line

    typer.echo(f"{summary_line(outcomes)}; see {out}")
    if any(outcome.status == "failed" for outcome in outcomes):
        typer.echo(f"the reasons are in {out / 'failures.csv'}", err=True)
        raise typer.Exit(1)
