"""``metaphase stress``: scores and counts under changes of stain, light, focus and resolution."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import option

app = typer.Typer(add_completion=False)


@app.command(cls=command_class(positionals=("model", "labels")))
def stress(
    labels: Annotated[Path, option("--labels")],
    out: Annotated[Path, option("--out")],
    model: Annotated[str | None, option("--model", default="compact")] = None,
    images: Annotated[Path | None, option("--images")] = None,
    mpp: Annotated[float | None, option("--mpp")] = None,
    scanner: Annotated[str | None, option("--scanner")] = None,
    only: Annotated[list[str] | None, option("--only")] = None,
    sweep: Annotated[list[str] | None, option("--sweep")] = None,
    shifts: Annotated[Path | None, option("--shifts")] = None,
    device: Annotated[str, option("--device")] = "auto",
    threads: Annotated[int | None, option("--threads")] = None,
) -> None:
    """Sweep stain, light, blur, JPEG quality and mpp error over labelled images.

    Draws F1 and count at the threshold of the model against each change (OUT/stress.html, .csv,
    .json). An interrupted sweep resumes when the command is repeated.
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
    from metaphase.models.modelfile import default_model, load_model
    from metaphase.report.stress import write_stress_report
    from metaphase.stress import stress as work
    from metaphase.stress.perturbations import SWEEPS
    from metaphase.training.recipe.caselists import matches

    opened = load_model(model or default_model())
    dataset = load_dataset(labels, images=images, mpp=mpp, scanner=scanner)
    if only:
        dataset = dataset.where(lambda case: any(matches(case, name) for name in only))
    names = [one.name for one in SWEEPS]
    unknown = sorted(set(sweep or ()) - set(names))
    if unknown:
        raise typer.BadParameter(f"no sweep {', '.join(unknown)}: one of {', '.join(names)}")
    chosen = [one for one in SWEEPS if not sweep or one.name in sweep]
    real_shifts = work.REAL_SHIFTS if shifts is None else work.read_shifts(shifts)
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def show(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        points = work.stress(
            opened,
            dataset,
            out,
            sweeps=chosen,
            shifts=real_shifts,
            runtime=open_runtime(opened, device, threads=threads),
            progress=show,
        )
    for one in chosen:
        mine = [point for point in points if point.sweep == one.name]
        f1 = [f"{point.level:g}: {point.f1:.3f}" for point in mine if point.f1 is not None]
        typer.echo(f"{one.name}: F1 {', '.join(f1)}")
        fall = work.largest_fall(points, [one.name])
        if fall is not None:
            typer.echo(f"{one.name}: F1 falls by {max(fall, 0):.3f} at most between real scanners")
    page = write_stress_report(
        points, out, sweeps=chosen, shifts=real_shifts, model=opened, dataset=dataset.name
    )
    typer.echo(page)
