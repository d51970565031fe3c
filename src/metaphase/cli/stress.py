"""``metaphase stress MODEL DATA --out DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def stress(
    model: Annotated[
        str, typer.Argument(help="Model file, or a model's name.", show_default=False)
    ],
    data: Annotated[Path, typer.Argument(help="Labels of the cases to sweep.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of tables and pictures.")] = ...,  # type: ignore[assignment]
    images: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Resolution, um/px, if files do not tell.")
    ] = None,
    scanner: Annotated[str | None, typer.Option(help="Scanner, if the labels do not tell.")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="These cases only: ids, patterns (A04_*), domains (group:A04)."),
    ] = None,
    sweep: Annotated[
        list[str] | None, typer.Option(help="These sweeps only, e.g. hue; may be repeated.")
    ] = None,
    shifts: Annotated[
        Path | None, typer.Option(help="Differences between scanners to mark (a JSON).")
    ] = None,
    device: Annotated[str, typer.Option(help="As for 'metaphase detect'.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Cores (unasked: all).")] = None,
) -> None:
    """Sweep stain, light, blur, JPEG quality and mpp error over labelled images.

    Draws F1 and count at the model's frozen threshold against each (OUT/stress.png, .html, .csv,
    .json). An interrupted sweep goes on when the same command is given again.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from metaphase.detection.runtime import open_runtime
    from metaphase.labels.read import load_dataset
    from metaphase.models.modelfile import load_model
    from metaphase.stress import stress as work
    from metaphase.stress.perturbations import SWEEPS
    from metaphase.training.recipe.caselists import matches

    opened = load_model(model)
    dataset = load_dataset(data, images=images, mpp=mpp, scanner=scanner)
    if only:
        dataset = dataset.where(lambda case: any(matches(case, name) for name in only))
    names = [one.name for one in SWEEPS]
    unknown = sorted(set(sweep or ()) - set(names))
    if unknown:
        raise typer.BadParameter(f"no sweep {', '.join(unknown)}: one of {', '.join(names)}")
    chosen = [one for one in SWEEPS if not sweep or one.name in sweep]
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        points = work.stress(
            opened,
            dataset,
            out,
            sweeps=chosen,
            shifts=None if shifts is None else work.read_shifts(shifts),
            runtime=open_runtime(opened, device, threads=threads),
            tell=tell,
        )
    for one in chosen:
        mine = [point for point in points if point.sweep == one.name]
        f1 = [f"{point.level:g}: {point.f1:.3f}" for point in mine if point.f1 is not None]
        typer.echo(f"{one.name}: F1 {', '.join(f1)}")
        fall = work.largest_fall(points, [one.name])
        if fall is not None:
            typer.echo(f"{one.name}: F1 falls by {max(fall, 0):.3f} at most between real scanners")
    typer.echo(out / work.HTML_NAME)
