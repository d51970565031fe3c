"""``metaphase adapt MODEL --to FOLDER --out MODEL2``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from metaphase.training.data.trainingdata import Unlabelled

app = typer.Typer(add_completion=False)


@app.command()
def adapt(
    model: Annotated[
        str, typer.Argument(help="Model file, or a model's name.", show_default=False)
    ],
    to: Annotated[
        list[Path],
        typer.Option("--to", help="Unlabelled images, folders or .txt lists; may be repeated."),
    ] = ...,  # type: ignore[assignment]
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the new model file.")] = ...,  # type: ignore[assignment]
    method: Annotated[str, typer.Option(help="adabn, mean-teacher, or one of your own.")] = "adabn",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change an option of the method."),
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Resolution, um/px, if files do not tell.")
    ] = None,
    scanner: Annotated[str | None, typer.Option(help="Scanner that made the images.")] = None,
    masked: Annotated[
        Path | None, typer.Option(help="JSON of places that must not be looked at.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps, where the method takes any.")] = 200,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="Learning rate of steps.")] = 1e-4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
) -> None:
    """Adapt a model to unlabelled images of a scanner; writes a new model file.

    An interrupted run goes on when the same command is given again. The threshold stays as it was
    chosen: where some labelled cases of the scanner exist, check it with 'metaphase evaluate'.
    """
    from rich.console import Console
    from rich.progress import Progress

    from metaphase.errors import MissingExtraError

    try:
        from metaphase.training.adapt.existing import adapt_model, adaptation
    except ImportError as error:
        raise MissingExtraError("train", "adapting a model") from error
    how = adaptation(method, set_ or (), steps=steps, learning_rate=learning_rate, seed=seed)
    cases = _unlabelled(to, mpp, scanner, masked)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("adapting", total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        adapted = adapt_model(model, cases, out, how, progress=tell)
    threshold = adapted.card.threshold.value
    typer.echo(
        f"note: the threshold of {threshold:g} was chosen before; adapted scores may ask for"
        " another: check it on some labelled cases with 'metaphase evaluate'",
        err=True,
    )
    typer.echo(adapted.folder)


def _unlabelled(
    paths: list[Path], mpp: float | None, scanner: str | None, masked: Path | None
) -> Unlabelled:
    from metaphase.detection.inputs import jobs_for_paths
    from metaphase.labels.dataset import Case, Dataset
    from metaphase.training.data.masked import load_masked
    from metaphase.training.data.trainingdata import Unlabelled

    jobs = jobs_for_paths(paths, mpp=mpp, scanner=scanner)
    cases = Dataset(
        (Case(job.name, image=job.image, mpp=mpp, scanner=scanner, labelled=False) for job in jobs),
        name="unlabelled images",
    )
    return Unlabelled(cases, {} if masked is None else load_masked(masked, cases))
