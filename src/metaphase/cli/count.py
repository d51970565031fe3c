"""``metaphase count``: the mitotic count at the hotspot."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, option

if TYPE_CHECKING:
    from metaphase.counting.batch import CountedSlide
    from metaphase.figures import Detections

app = typer.Typer(add_completion=False)

_WINDOW, _TRUST, _INPUT = "Window", "Interval and review", "Input"


@app.command(cls=command_class(needs={"--density": "--out", "--complete": "--review"}))
def count(
    detections: Annotated[list[Path], argument("detections")],
    out: Annotated[Path | None, option("--out", default="print only")] = None,
    area_mm2: Annotated[float | None, option("--area-mm2", panel=_WINDOW)] = None,
    shape: Annotated[str, option("--shape", panel=_WINDOW)] = "square",
    either_way: Annotated[bool, option("--either-way", panel=_WINDOW)] = False,
    field_diameter: Annotated[float | None, option("--field-diameter", panel=_WINDOW)] = None,
    top: Annotated[int, option("--top", panel=_WINDOW)] = 1,
    min_tissue: Annotated[float, option("--min-tissue", panel=_WINDOW)] = 0.5,
    threshold: Annotated[float | None, option("--threshold", panel=_INPUT)] = None,
    mpp: Annotated[float | None, option("--mpp", panel=_INPUT)] = None,
    images: Annotated[Path | None, option("--images", panel=_INPUT)] = None,
    labels: Annotated[Path | None, option("--labels", panel=_INPUT)] = None,
    validation: Annotated[str | None, option("--validation", panel=_TRUST)] = None,
    review: Annotated[Path | None, option("--review", panel=_TRUST)] = None,
    complete: Annotated[bool, option("--complete", panel=_TRUST)] = False,
    seed: Annotated[int, option("--seed", panel=_TRUST)] = 0,
    density: Annotated[bool, option("--density", panel=_WINDOW)] = False,
) -> None:
    """Count mitotic figures in the window that holds the most of them, with interval and score.

    The window is the best one of its shape and area anywhere on the slide, computed exactly. Slides
    that fail are reported; the others are counted.

    Exit code: 0 all slides were counted, 1 some failed, 2 wrong usage.
    """
    from rich.console import Console

    from metaphase.counting.batch import CountOptions, count_slides
    from metaphase.counting.review import load_review
    from metaphase.counting.tables import print_counts, write_counts
    from metaphase.counting.validation import read_validation
    from metaphase.counting.window import WindowShape, window_area_mm2
    from metaphase.exchange.slidedetections import slides_in, write_count
    from metaphase.labels.read import load_dataset
    from metaphase.locks import locked_folder

    area = window_area_mm2(area_mm2, field_diameter)
    options = CountOptions(
        shape=WindowShape.parse(shape, area, either_way=either_way),
        least_tissue=min_tissue,
        top=top,
        threshold=threshold,
        validation=read_validation(validation) if validation else None,
        decisions=load_review(review) if review else None,
        complete=complete,
        field_diameter_mm=field_diameter,
        images=images,
        labels=load_dataset(labels) if labels else None,
        seed=seed,
    )

    def write(slide: CountedSlide, found: Detections) -> None:
        if out is not None:
            write_count(slide, found, out / slide.name, density=density)

    slides = slides_in(detections, mpp=mpp, labels=options.labels)
    with nullcontext() if out is None else locked_folder(out):
        counted, failures = count_slides(slides, options, write)
        if out is not None:
            write_counts(counted, out)
    print_counts(counted, Console())
    for failure in failures:
        typer.echo(f"metaphase: {failure}", err=True)
    if failures:
        raise typer.Exit(1)
