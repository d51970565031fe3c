"""``metaphase view``: look at slides and review their figures in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from metaphase.viewer.slidecatalogue import CatalogueEntry, SlideDetections
    from metaphase.viewer.store import ReviewStore

app = typer.Typer(add_completion=False)

_SHOWN, _REVIEW, _SERVER = "What is shown", "Review", "Server"


@app.command()
def view(
    paths: Annotated[list[Path], typer.Argument(help="Images, or folders of images.")],
    detections: Annotated[
        Path | None,
        typer.Option(
            "--detections",
            "-d",
            help="Folder of 'metaphase detect' (unasked: in the entry folders).",
            rich_help_panel=_SHOWN,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", "-l", help="File of labels.", rich_help_panel=_SHOWN),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", help="Detect first, where there is nothing.", rich_help_panel=_SHOWN
        ),
    ] = None,
    mpp: Annotated[
        float | None,
        typer.Option(help="um/px, for images that do not tell it.", rich_help_panel=_SHOWN),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            help="For intervals, as of 'metaphase count' (unasked: what the detections tell).",
            rich_help_panel=_SHOWN,
        ),
    ] = None,
    store: Annotated[
        Path, typer.Option(help="File that holds the decisions.", rich_help_panel=_REVIEW)
    ] = Path("metaphase-review.sqlite"),
    reviewer: Annotated[
        str | None, typer.Option(help="Your name (unasked: the login).", rich_help_panel=_REVIEW)
    ] = None,
    blind: Annotated[
        bool,
        typer.Option("--blind", help="Do not show other readers' work.", rich_help_panel=_REVIEW),
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Write the reviewed labels to this folder and end.", rich_help_panel=_REVIEW
        ),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option(
            "--partial", help="Export incomplete slides as labelled.", rich_help_panel=_REVIEW
        ),
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0: a free one.", rich_help_panel=_SERVER)
    ] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen on.", rich_help_panel=_SERVER)
    ] = "127.0.0.1",
    token: Annotated[
        bool,
        typer.Option("--token/--no-token", help="Ask for the token.", rich_help_panel=_SERVER),
    ] = True,
    browser: Annotated[
        bool,
        typer.Option("--browser/--no-browser", help="Open the page.", rich_help_panel=_SERVER),
    ] = True,
) -> None:
    """Review figures on a local page: gallery, keys, hotspot, export as labels.

    Every decision is saved at once, with your name and the time. The page is bound to this machine
    and to whoever has the address with its token.
    """
    import getpass

    from metaphase.viewer.store import ReviewStore

    slides = _open(paths, detections, labels, model, mpp)
    decisions = ReviewStore(store)
    try:
        if export is not None:
            _export(slides, decisions, export, reviewer, partial)
        else:
            name = (reviewer or getpass.getuser()).strip()
            _serve(slides, decisions, name, blind, validation, host, port, token, browser)
    finally:
        decisions.close()


def _open(
    paths: list[Path],
    detections: Path | None,
    labels: Path | None,
    model: str | None,
    mpp: float | None,
) -> list[CatalogueEntry]:
    from metaphase.viewer.slidecatalogue import (
        detections_in_folders,
        find_images,
        load_slide_detections,
        open_slides,
    )

    dataset = None
    if labels is not None:
        from metaphase.labels.read import load_dataset

        dataset = load_dataset(labels)
    images = find_images(paths)
    found = dict(load_slide_detections(detections) if detections else detections_in_folders(paths))
    if model is not None:
        found |= _detect(images, set(found), model, mpp)
    return open_slides(images, detections=found, labels=dataset, mpp=mpp)


def _detect(
    images: list[Path], known: set[str], model: str, mpp: float | None
) -> dict[str, SlideDetections]:
    """Detect on the images that have no detections yet; they are kept for this page only."""
    from rich.console import Console
    from rich.progress import track

    from metaphase.detection.detect import detect
    from metaphase.labels.reading import case_id
    from metaphase.viewer.slidecatalogue import SlideDetections

    todo = [path for path in images if case_id(path.name) not in known]
    bar = track(todo, "Detecting", console=Console(stderr=True))
    return {case_id(path.name): SlideDetections(detect(path, model, mpp=mpp)) for path in bar}


def _export(
    slides: list[CatalogueEntry],
    store: ReviewStore,
    folder: Path,
    reviewer: str | None,
    partial: bool,
) -> None:
    from metaphase.viewer.export import ExportOptions, export_folder

    dataset = export_folder(slides, store, folder, ExportOptions(reviewer, partial))
    done = len(dataset.labelled())
    typer.echo(f"{folder}: {dataset.count()} mitotic figures, {done} of {len(dataset)} slides")


def _serve(
    slides: list[CatalogueEntry],
    store: ReviewStore,
    reviewer: str,
    blind: bool,
    validation: str | None,
    host: str,
    port: int,
    asks: bool,
    browser: bool,
) -> None:
    import webbrowser

    from metaphase.counting.validation import read_validation
    from metaphase.errors import InputError
    from metaphase.viewer.access import LOOPBACK, new_token
    from metaphase.viewer.app import create_app
    from metaphase.viewer.serve import address, allowed_hosts, listen, serve

    if not asks and host not in LOOPBACK:
        raise InputError.of(
            "--no-token", f"would show the slides to everybody who reaches {host}",
            way_out="leave it out, or stay on 127.0.0.1",
        )  # fmt: skip
    secret = new_token() if asks else None
    app_ = create_app(
        slides, store, reviewer=reviewer, token=secret, blind=blind, hosts=allowed_hosts(host),
        validated=read_validation(validation) if validation else None,
    )  # fmt: skip
    socket_ = listen(host, port)
    url = address(host, socket_.getsockname()[1], secret)

    def ready() -> None:
        typer.echo(f"{len(slides)} slides, decisions in {store.path}", err=True)
        typer.echo(url)
        if browser:
            webbrowser.open(url)

    serve(app_, socket_, ready)
