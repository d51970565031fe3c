"""``metaphase phantom``: synthetic images with labels, for demos, tests and benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from metaphase.phantom.dataset import Progress

app = typer.Typer(add_completion=False)

_SET, _SLIDE = "The data set", "One slide instead"


@app.command()
def phantom(
    out: Annotated[
        Path, typer.Argument(help="Folder of the data set, or with --slide the slide to write.")
    ],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    cases: Annotated[int, typer.Option(min=1, help="Cases a scanner.", rich_help_panel=_SET)] = 4,
    size: Annotated[
        int, typer.Option(min=128, help="Side of a region, px.", rich_help_panel=_SET)
    ] = 1536,
    slide: Annotated[
        bool,
        typer.Option("--slide", help="Write a pyramidal slide.", rich_help_panel=_SLIDE),
    ] = False,
    width: Annotated[
        int, typer.Option(min=2048, help="Its width, px.", rich_help_panel=_SLIDE)
    ] = 20_000,
    height: Annotated[
        int, typer.Option(min=2048, help="Its height, px.", rich_help_panel=_SLIDE)
    ] = 15_000,
    scanner: Annotated[
        str, typer.Option(help="Its scanner: A, B, C or D.", rich_help_panel=_SLIDE)
    ] = "A",
) -> None:
    """Make synthetic H&E images: labels and pixels, from nothing but a seed.

    OUT/MIDOG.json and OUT/images/*.tiff: regions of four synthetic scanners, the last unlabelled.
    With --slide a single pyramidal slide, with its labels beside it.
    """
    if slide:
        from metaphase.phantom.scanners import find_scanner
        from metaphase.phantom.slide import make_slide

        with _bar("drawing tiles") as progress:
            labels = make_slide(
                *(out, width, height), seed=seed, scanner=find_scanner(scanner), progress=progress
            )
        typer.echo(f"{out}: synthetic slide, {width} x {height} px; labels in {labels}")
        return
    from metaphase.phantom.dataset import make_phantom

    with _bar("drawing images") as progress:
        labels = make_phantom(
            out, seed=seed, cases_per_scanner=cases, size_px=size, progress=progress
        )
    _tell(labels)


def _tell(labels: Path) -> None:
    from metaphase.figures import Label
    from metaphase.labels.read import load_dataset

    dataset = load_dataset(labels)
    typer.echo(
        f"{labels}: synthetic, {len(dataset)} images, {len(dataset.labelled())} labelled, "
        f"{dataset.count(Label.MITOTIC)} mitotic figures, "
        f"{dataset.count(Label.HARD_NEGATIVE)} hard negatives"
    )


@contextmanager
def _bar(what: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
