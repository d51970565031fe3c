"""``metaphase phantom``: synthetic images with labels, for demos, tests and benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from metaphase.phantom.dataset import Progress
    from metaphase.phantom.scanners import Scanner

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
    scanner: Annotated[
        list[str] | None,
        typer.Option(help="A, B, C or D; more than one for a data set (unasked: all; slide: A)."),
    ] = None,
    label_all: Annotated[
        bool,
        typer.Option("--label-all", help="Label scanner D too.", rich_help_panel=_SET),
    ] = False,
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
    tissue_mm2: Annotated[
        float | None,
        typer.Option(help="Its tissue, mm2 (unasked: half of it).", rich_help_panel=_SLIDE),
    ] = None,
) -> None:
    """Make synthetic H&E images: labels and pixels, from nothing but a seed.

    OUT/MIDOG.json and OUT/images/*.tiff: regions of four synthetic scanners, the last unlabelled.
    With --slide a single pyramidal slide, with its labels beside it.
    """
    from metaphase.phantom.scanners import SCANNERS, find_scanner

    used = list(dict.fromkeys(map(find_scanner, scanner or ())))
    if slide:
        if len(used) > 1:
            raise typer.BadParameter("a slide has one --scanner")
        _slide(out, width, height, seed, used[0] if used else SCANNERS[0], tissue_mm2)
        return
    from metaphase.phantom.dataset import make_phantom

    used = [replace(s, labelled=s.labelled or label_all) for s in used or SCANNERS]
    with _bar("drawing images") as progress:
        labels = make_phantom(
            out,
            seed=seed,
            cases_per_scanner=cases,
            size_px=size,
            scanners=used,
            progress=progress,
        )
    _tell(labels)


def _slide(
    out: Path, width: int, height: int, seed: int, scanner: Scanner, tissue_mm2: float | None
) -> None:
    from metaphase.phantom.slide import make_slide

    with _bar("drawing tiles") as progress:
        labels = make_slide(
            *(out, width, height),
            seed=seed,
            scanner=scanner,
            tissue_mm2=tissue_mm2,
            progress=progress,
        )
    typer.echo(f"{out}: synthetic slide, {width} x {height} px; labels in {labels}")


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
