"""``metaphase learn``: from unlabelled slides to a detector of one's own, by reviews."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metaphase.cli.commandclass import Command
from metaphase.cli.options import argument, option

if TYPE_CHECKING:
    from metaphase.learning.loopfolder import LoopFolder
    from metaphase.learning.slidereview import SlideReview
    from metaphase.learning.start import ImageOutcome

app = typer.Typer(add_completion=False, no_args_is_help=True)

Loop = Annotated[Path, argument("loop")]


@app.command(cls=Command)
def start(
    images: Annotated[list[Path], argument("images")],
    out: Annotated[Path, option("--out")],
    model: Annotated[str | None, option("--model", default="compact")] = None,
    mpp: Annotated[float | None, option("--mpp")] = None,
    force_mpp: Annotated[bool, option("--force-mpp")] = False,
    scanner: Annotated[str | None, option("--scanner")] = None,
    decisions: Annotated[int | None, option("--decisions", default="50")] = None,
    candidates: Annotated[int, option("--candidates")] = 1000,
    threads: Annotated[int | None, option("--threads")] = None,
) -> None:
    """Find the candidates in images, and propose the first ones to review.

    OUT becomes the folder of the loop. Finished images are skipped, so the same command resumes an
    interrupted run, and more images may be named later. Exit code: 1 where images failed.
    """
    from rich.console import Console
    from rich.progress import Progress

    from metaphase.learning.loopfolder import DECISIONS, LoopFolder
    from metaphase.learning.start import StartOptions, start_loop
    from metaphase.models.modelfile import default_model

    options = StartOptions(mpp, scanner, force_mpp, decisions or DECISIONS, candidates, threads)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("detecting", total=None)

        def report(name: str, done: float, total: float) -> None:
            bar.update(task, description=name, completed=done, total=total or None)

        outcomes = start_loop(
            images, out, model or default_model(), options, finished=_print, progress=report
        )
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    proposed = len(LoopFolder(out).order())
    typer.echo(f"{len(outcomes) - failed} images, {proposed} candidates to review")
    if failed < len(outcomes):
        typer.echo(f"next: metaphase learn review {out}", err=True)
    if failed:
        raise typer.Exit(1)


@app.command(cls=Command)
def review(
    loop: Loop,
    reviewer: Annotated[str | None, option("--reviewer")] = None,
    blind: Annotated[bool, option("--blind")] = False,
    port: Annotated[int, option("--port")] = 8765,
    host: Annotated[str, option("--host")] = "127.0.0.1",
    allow_host: Annotated[list[str] | None, option("--allow-host")] = None,
    token: Annotated[bool, option("--token")] = True,
    browser: Annotated[bool, option("--browser")] = True,
) -> None:
    """Review the proposed candidates on the local web page.

    The list "Proposed" has the candidates whose decisions inform most. The button "Retrain" does
    what 'metaphase learn train' does, and shows the new scores and proposals.
    """
    import getpass

    from metaphase.cli.reviewserver import Serving, serve_page
    from metaphase.viewer.loopslides import loop_slides
    from metaphase.viewer.store import ReviewStore

    folder = _open(loop)
    slides = loop_slides(folder)
    store = ReviewStore(folder.store)
    try:
        serve_page(
            slides,
            store,
            Serving(host, tuple(allow_host or ()), port, token, browser),
            reviewer=(reviewer or getpass.getuser()).strip(),
            blind=blind,
            loop=folder,
        )
    finally:
        store.close()


@app.command(cls=Command)
def train(
    loop: Loop,
    labels: Annotated[Path | None, option("--labels")] = None,
    reviewer: Annotated[
        str | None, option("--reviewer", default="the latest decision of any reader")
    ] = None,
    depth: Annotated[str, option("--depth")] = "head",
    decisions: Annotated[int | None, option("--decisions", default="as the loop began")] = None,
    seed: Annotated[int, option("--seed")] = 0,
) -> None:
    """Fine-tune the model with all decisions, and choose its threshold.

    Training starts from the weights of the model that the loop began with. Rejected candidates are
    negatives; places without a decision are not. The model file is LOOP/rounds/NUMBER/model. With
    --labels, the labels of a data set are the decisions.
    """
    from rich.console import Console
    from rich.progress import Progress

    from metaphase.errors import InterruptedRunError
    from metaphase.learning.rounds import RoundOptions, train_round

    folder = _open(loop)
    reviews = _reviews(folder, reviewer) if labels is None else _labelled(labels)
    console = Console(stderr=True)
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("reading", total=1.0)

            def report(text: str, part: float) -> None:
                bar.update(task, description=text, completed=part)

            result = train_round(
                folder, reviews, RoundOptions(_depth(depth), decisions, seed), report
            )
    except KeyboardInterrupt:
        raise InterruptedRunError("interrupted; the same command begins the round again") from None
    _print_rounds(folder)
    typer.echo(folder.round(result.number) / "model")


@app.command(cls=Command)
def status(loop: Loop, as_json: Annotated[bool, option("--json")] = False) -> None:
    """Print the rounds of a loop, with scores and 95 % intervals."""
    import json

    from metaphase.learning.roundresult import load_rounds

    folder = _open(loop)
    if as_json:
        rounds = [one.model_dump(mode="json") for one in load_rounds(folder)]
        typer.echo(json.dumps({"rounds": rounds, "proposed": len(folder.order())}, indent=2))
        return
    settings = folder.settings()
    ready = sum(folder.candidates(image.name).is_file() for image in settings.images)
    decided = sum(len(one) for one in _reviews(folder, None))
    typer.echo(
        f"model {settings.model}, {ready} of {len(settings.images)} images, {decided} decisions,"
        f" {len(folder.order())} candidates proposed"
    )
    _print_rounds(folder)


def _open(path: Path) -> LoopFolder:
    from metaphase.learning.loopfolder import LoopFolder

    folder = LoopFolder(path)
    folder.settings()  # a wrong folder is reported before anything else
    return folder


def _depth(depth: str) -> str:
    if depth not in ("head", "last", "all"):
        raise typer.BadParameter(f"--depth {depth!r} is not head, last or all")
    return depth


def _reviews(folder: LoopFolder, reviewer: str | None) -> list[SlideReview]:
    from metaphase.viewer.loopslides import loop_slides
    from metaphase.viewer.reviewedslides import slide_reviews
    from metaphase.viewer.store import ReviewStore

    if not folder.store.is_file():
        return []
    store = ReviewStore(folder.store)
    try:
        return slide_reviews(loop_slides(folder), store, reviewer)
    finally:
        store.close()


def _labelled(labels: Path) -> list[SlideReview]:
    from metaphase.labels.read import load_dataset
    from metaphase.learning.slidereview import SlideReview

    return [SlideReview.of_case(case) for case in load_dataset(labels)]


def _print(outcome: ImageOutcome) -> None:
    text = {"done": f"{outcome.candidates} candidates", "skipped": "finished before"}
    typer.echo(f"{outcome.image.name}: {text.get(outcome.status, outcome.reason)}", err=True)


def _print_rounds(folder: LoopFolder) -> None:
    from metaphase.learning.roundresult import load_rounds, round_lines

    rounds = load_rounds(folder)
    if not rounds:
        typer.echo("no round yet: review candidates, then 'metaphase learn train'")
        return
    typer.echo("\n".join(round_lines(rounds)))
    typer.echo(
        "Expected scores on the reviewed slides, with 95 % intervals over slides. 'before': the"
        " model that the loop began with, at its threshold.",
        err=True,
    )
