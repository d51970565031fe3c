"""``metaphase adapt``: adapt a model to unlabelled images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, option

if TYPE_CHECKING:
    from metaphase.training.data.trainingdata import Unlabelled

app = typer.Typer(add_completion=False)


def _model_first(values: dict[str, Any], rest: list[str]) -> str | None:
    """Accept ``adapt MODEL --to IMAGES``."""
    if "to" not in values:
        return None
    if "model" not in values and values.get("images"):
        values["model"], *values["images"] = values["images"]
    values["images"] = (*values.get("images", ()), *values.pop("to"))
    return f"--to is deprecated: use 'metaphase adapt IMAGES --model {values['model']}'"


@app.command(cls=command_class(renamed={"--set": "--method-option"}, legacy=_model_first))
def adapt(
    images: Annotated[list[Path], argument("images")],
    out: Annotated[Path, option("--out")],
    model: Annotated[str | None, option("--model", default="compact")] = None,
    method: Annotated[str, option("--method")] = "adabn",
    method_option: Annotated[list[str] | None, option("--method-option")] = None,
    mpp: Annotated[float | None, option("--mpp")] = None,
    scanner: Annotated[str | None, option("--scanner")] = None,
    masked: Annotated[Path | None, option("--masked")] = None,
    steps: Annotated[int, option("--steps")] = 200,
    learning_rate: Annotated[float, option("--learning-rate")] = 1e-4,
    seed: Annotated[int, option("--seed")] = 0,
    to: Annotated[list[Path] | None, typer.Option(hidden=True)] = None,  # moved by _model_first
) -> None:
    """Adapt a model to unlabelled images of a scanner, and write a new model file.

    An interrupted run resumes when the command is repeated. The threshold does not change. If some
    cases of the scanner are labelled, check it on them with 'metaphase evaluate'.
    """
    from rich.console import Console
    from rich.progress import Progress

    from metaphase.errors import MissingExtraError
    from metaphase.models.modelfile import default_model

    try:
        from metaphase.training.adapt.existing import adapt_model, adaptation
    except ImportError as error:
        raise MissingExtraError("train", "adapting a model") from error
    how = adaptation(
        method, method_option or (), steps=steps, learning_rate=learning_rate, seed=seed
    )
    cases = _unlabelled(images, mpp, scanner, masked)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("adapting", total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        adapted = adapt_model(model or default_model(), cases, out, how, progress=report)
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
