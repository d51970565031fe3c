"""``metaphase phantom``: synthetic images with labels, for demos, tests and benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import option

if TYPE_CHECKING:
    from metaphase.phantom.dataset import Progress
    from metaphase.phantom.scanners import Scanner

app = typer.Typer(add_completion=False)

_SET, _SLIDE = "The data set", "One slide instead"


@app.command(
    cls=command_class(
        positionals=("out",),
        renamed={"--cases": "--cases-per-scanner", "--scanner": "--only-scanner"},
        needs={"--width": "--slide", "--height": "--slide", "--tissue-mm2": "--slide"},
        excludes={"--slide": ("--cases-per-scanner", "--size", "--label-all")},
    )
)
def phantom(
    out: Annotated[Path, option("--out")],
    seed: Annotated[int, option("--seed")] = 0,
    cases_per_scanner: Annotated[int, option("--cases-per-scanner", panel=_SET)] = 4,
    size: Annotated[int, option("--size", panel=_SET)] = 1536,
    only_scanner: Annotated[
        list[str] | None, option("--only-scanner", default="A, B, C and D; with --slide: A")
    ] = None,
    label_all: Annotated[bool, option("--label-all", panel=_SET)] = False,
    slide: Annotated[bool, option("--slide", panel=_SLIDE)] = False,
    width: Annotated[int, option("--width", panel=_SLIDE)] = 20_000,
    height: Annotated[int, option("--height", panel=_SLIDE)] = 15_000,
    tissue_mm2: Annotated[float | None, option("--tissue-mm2", panel=_SLIDE)] = None,
) -> None:
    """Make synthetic H&E images with labels from a seed.

    OUT/MIDOG.json and OUT/images/*.tiff: regions of four synthetic scanners, the last unlabelled.
    With --slide a single pyramidal slide, with its labels beside it.
    """
    from metaphase.phantom.scanners import SCANNERS, find_scanner

    used = list(dict.fromkeys(map(find_scanner, only_scanner or ())))
    if slide:
        if len(used) > 1:
            raise typer.BadParameter("a slide has one --only-scanner")
        _slide(out, width, height, seed, used[0] if used else SCANNERS[0], tissue_mm2)
        return
    from metaphase.locks import locked_folder
    from metaphase.phantom.dataset import make_phantom

    used = [replace(s, labelled=s.labelled or label_all) for s in used or SCANNERS]
    with locked_folder(out), _bar("drawing images") as progress:
        labels = make_phantom(
            out,
            seed=seed,
            cases_per_scanner=cases_per_scanner,
            size_px=size,
            scanners=used,
            progress=progress,
        )
    _print_summary(labels)


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


def _print_summary(labels: Path) -> None:
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
