"""``metaphase view``: look at slides and review their figures in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, option

if TYPE_CHECKING:
    from metaphase.viewer.slidecatalogue import CatalogueEntry, SlideDetections
    from metaphase.viewer.store import ReviewStore

app = typer.Typer(add_completion=False)

_MOST_NAMED = 10
_SHOWN, _REVIEW, _SERVER = "What is shown", "Review", "Server"


@app.command(
    cls=command_class(
        needs={"--partial": "--export"},
        excludes={
            "--export": (
                *("--blind", "--validation", "--compare-with"),
                *("--port", "--host", "--token", "--browser"),
            )
        },
    )
)
def view(
    images: Annotated[list[Path], argument("images")],
    detections: Annotated[
        Path | None, option("--detections", panel=_SHOWN, default="those in the opened folders")
    ] = None,
    labels: Annotated[Path | None, option("--labels", panel=_SHOWN)] = None,
    compare_with: Annotated[Path | None, option("--compare-with", panel=_SHOWN)] = None,
    model: Annotated[str | None, option("--model", panel=_SHOWN)] = None,
    mpp: Annotated[float | None, option("--mpp", panel=_SHOWN)] = None,
    validation: Annotated[str | None, option("--validation", panel=_SHOWN)] = None,
    store: Annotated[Path, option("--store", panel=_REVIEW)] = Path("metaphase-review.sqlite"),
    reviewer: Annotated[str | None, option("--reviewer", panel=_REVIEW)] = None,
    blind: Annotated[bool, option("--blind", panel=_REVIEW)] = False,
    export: Annotated[Path | None, option("--export", panel=_REVIEW)] = None,
    partial: Annotated[bool, option("--partial", panel=_REVIEW)] = False,
    port: Annotated[int, option("--port", panel=_SERVER)] = 8765,
    host: Annotated[str, option("--host", panel=_SERVER)] = "127.0.0.1",
    allow_host: Annotated[list[str] | None, option("--allow-host", panel=_SERVER)] = None,
    token: Annotated[bool, option("--token", panel=_SERVER)] = True,
    browser: Annotated[bool, option("--browser", panel=_SERVER)] = True,
) -> None:
    """Review figures on a local web page, or export the reviewed labels.

    Every decision is saved at once with the reader's name and the time. The page is served to this
    computer only, and only under the printed address with its secret token. With --model, images
    without detections are processed first. With --compare-with, the page lists on each slide
    what both models found and what only one of them found, each at its own threshold.
    """
    import getpass

    from metaphase.cli.reviewserver import Serving, serve_page
    from metaphase.viewer.store import ReviewStore

    slides = _open(images, detections, labels, model, mpp, compare_with)
    decisions = ReviewStore(store)
    try:
        if export is not None:
            _export(slides, decisions, export, reviewer, partial)
        else:
            serve_page(
                slides,
                decisions,
                Serving(host, tuple(allow_host or ()), port, token, browser),
                reviewer=(reviewer or getpass.getuser()).strip(),
                blind=blind,
                validation=validation,
            )
    finally:
        decisions.close()


def _open(
    paths: list[Path],
    detections: Path | None,
    labels: Path | None,
    model: str | None,
    mpp: float | None,
    second: Path | None,
) -> list[CatalogueEntry]:
    from metaphase.viewer.slidecatalogue import (
        detections_in_folders,
        find_images,
        load_slide_detections,
        matched_detections,
        open_slides,
    )

    dataset = None
    if labels is not None:
        from metaphase.labels.read import load_dataset

        dataset = load_dataset(labels)
    images = find_images(paths)
    loaded = (
        load_slide_detections(detections, without=second)
        if detections
        else detections_in_folders(paths, without=second)
    )
    found = matched_detections(images, loaded)
    if model is not None:
        found |= _detect(images, set(found), model, mpp)
    slides = open_slides(images, detections=found, labels=dataset, mpp=mpp)
    return slides if second is None else _with_second(slides, second)


def _with_second(slides: list[CatalogueEntry], folder: Path) -> list[CatalogueEntry]:
    """Add the detections of a second model, and name the slides that have none."""
    from metaphase.viewer.seconddetections import add_second_detections

    compared = add_second_detections(slides, folder)
    left_out = [entry for entry in compared if entry.not_compared]
    for entry in left_out[:_MOST_NAMED]:
        typer.echo(f"note: {entry.key} is not compared: {entry.not_compared}", err=True)
    if len(left_out) > _MOST_NAMED:
        typer.echo(f"note: {len(left_out) - _MOST_NAMED} more slides are not compared", err=True)
    return compared


def _detect(
    images: list[Path], known: set[str], model: str, mpp: float | None
) -> dict[str, SlideDetections]:
    """Detect on the images that have no detections yet; they are kept for this page only."""
    from rich.console import Console
    from rich.progress import track

    from metaphase.detection.detect import detect
    from metaphase.viewer.slidecatalogue import SlideDetections, slide_keys

    keys = zip(slide_keys(images), images, strict=True)
    todo = [(key, path) for key, path in keys if key not in known]
    bar = track(todo, "Detecting", console=Console(stderr=True))
    return {key: SlideDetections(detect(path, model, mpp=mpp)) for key, path in bar}


def _export(
    slides: list[CatalogueEntry],
    store: ReviewStore,
    folder: Path,
    reviewer: str | None,
    partial: bool,
) -> None:
    from metaphase.locks import locked_folder
    from metaphase.viewer.export import ExportOptions, export_folder, undecided_figures

    options = ExportOptions(reviewer, partial)
    with locked_folder(folder):
        dataset = export_folder(slides, store, folder, options)
    for slide, rows in undecided_figures(slides, store, options).items():
        if rows:
            become = "are negatives" if dataset[slide].labelled else "keep it unlabelled"
            typer.echo(
                f"note: {slide}: {len(rows)} undecided figures above the threshold {become}",
                err=True,
            )
    done = len(dataset.labelled())
    typer.echo(
        f"{folder}: {dataset.count()} mitotic figures, {done} of {len(dataset)} slides labelled"
    )
