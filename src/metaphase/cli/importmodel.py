"""``metaphase import``: a model file of a network that was trained elsewhere."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, network_option, option
from metaphase.models.foreignkinds import (
    BoxFormat,
    Colour,
    Coordinates,
    Decoding,
    Kind,
    Layout,
    Resize,
    Scaling,
    ScoreKind,
)
from metaphase.radii import MERGE_RADIUS_UM

if TYPE_CHECKING:
    from metaphase.detection.foreign.importmodel import Imported
    from metaphase.figures import Figure
    from metaphase.slides.slide import Slide

app = typer.Typer(add_completion=False)

_INPUT, _OUTPUT, _CHECK = "Input of the network", "Outputs of the network", "Test image"


@app.command(
    cls=command_class(
        needs={"--check-mpp": "--check-image"},
    )
)
def import_model(
    graph: Annotated[Path, argument("graph")],
    kind: Annotated[Kind, option("--kind")],
    mpp: Annotated[float, network_option("--mpp")],
    out: Annotated[Path, option("--out")],
    tile: Annotated[int | None, option("--tile", default="the size of its input")] = None,
    classes: Annotated[str | None, option("--classes", default=False)] = None,
    merge_radius_um: Annotated[float, network_option("--merge-radius-um")] = MERGE_RADIUS_UM,
    overwrite: Annotated[bool, option("--overwrite")] = False,
    layout: Annotated[Layout | None, option("--layout", panel=_INPUT, default=False)] = None,
    colour: Annotated[Colour | None, option("--colour", panel=_INPUT, default=False)] = None,
    scaling: Annotated[Scaling | None, option("--scaling", panel=_INPUT, default=False)] = None,
    mean: Annotated[str | None, option("--mean", panel=_INPUT)] = None,
    std: Annotated[str | None, option("--std", panel=_INPUT)] = None,
    resize: Annotated[Resize, option("--resize", panel=_INPUT)] = "none",
    margin: Annotated[int | None, option("--margin", panel=_INPUT, default=False)] = None,
    decoding: Annotated[Decoding | None, option("--decoding", panel=_OUTPUT)] = None,
    scores: Annotated[ScoreKind | None, option("--scores", panel=_OUTPUT)] = None,
    box_format: Annotated[
        BoxFormat | None, option("--box-format", panel=_OUTPUT, default=False)
    ] = None,
    coordinates: Annotated[Coordinates | None, option("--coordinates", panel=_OUTPUT)] = None,
    first_label: Annotated[
        int | None, option("--first-label", panel=_OUTPUT, default=False)
    ] = None,
    strides: Annotated[str | None, option("--strides", panel=_OUTPUT)] = None,
    anchor_sizes: Annotated[
        str | None, option("--anchor-sizes", panel=_OUTPUT, default=False)
    ] = None,
    aspect_ratios: Annotated[str | None, option("--aspect-ratios", panel=_OUTPUT)] = None,
    check_image: Annotated[
        Path | None, option("--check-image", panel=_CHECK, default=False)
    ] = None,
    check_mpp: Annotated[float | None, option("--check-mpp", panel=_CHECK)] = None,
) -> None:
    """Make a model file of a network that was trained elsewhere and exported as ONNX.

    The result works like a trained model: 'metaphase detect --model OUT', then 'metaphase evaluate
    --choose-threshold' on validation cases. Input and outputs are recognised by running the network
    on a test image; the card states what was recognised, stated or assumed. check.png in OUT shows
    the detections in the test image.

    PyTorch checkpoints (.pt, .pth) are refused, because loading them executes code.
    """
    from metaphase.detection.foreign.choices import Choices
    from metaphase.detection.foreign.importmodel import import_model as run_import

    choices = Choices(
        kind=kind,
        mpp=mpp,
        tile=tile,
        classes=_names(classes),
        layout=layout,
        colour=colour,
        scaling=scaling,
        mean=_triple("--mean", mean),
        std=_triple("--std", std),
        resize=resize,
        margin=margin,
        decoding=decoding,
        scores=scores,
        box_format=box_format,
        coordinates=coordinates,
        first_label=first_label,
        strides=_numbers("--strides", strides),
        anchor_sizes=_sizes(anchor_sizes),
        aspect_ratios=_numbers("--aspect-ratios", aspect_ratios),
        merge_radius_um=merge_radius_um,
    )
    with _test_image(check_image, check_mpp) as (image, figures):
        done = run_import(
            graph, out, choices, image, figures=figures, overwrite=overwrite, command=_command()
        )
        name = image.path.name
    _report(done, out, name)


@contextmanager
def _test_image(path: Path | None, mpp: float | None) -> Iterator[tuple[Slide, Sequence[Figure]]]:
    """Open the test image, or the first bundled field with its labels."""
    from metaphase.labels.read import load_dataset
    from metaphase.labels.sample import FOLDER
    from metaphase.slides.open import open_case, open_slide

    if path is not None:
        with open_slide(path, mpp=mpp) as slide:
            yield slide, ()
        return
    case = next(iter(load_dataset(FOLDER)))
    with open_case(case) as slide:
        yield slide, case.figures


def _command() -> str:
    """Return the command line, to be repeated."""
    return shlex.join(["metaphase", *sys.argv[1:]]) if sys.argv[1:2] == ["import"] else ""


def _report(done: Imported, out: Path, image: str) -> None:
    """Print what was made, what was recognised and assumed, and what to do next."""
    from metaphase.models.cardpage import foreign_text

    card = done.model.card
    typer.echo(f"{out}: {card.name} ({done.model.id[:12]})")
    assert card.foreign is not None
    typer.echo(foreign_text(card.foreign))
    for text in done.assumed:
        typer.echo(f"assumed: {text}")
    best = (
        f", the best with a score of {done.detections.score[0]:.2f}" if len(done.detections) else ""
    )
    typer.echo(f"{image}: {len(done.detections)} detections{best}; see {out / 'check.png'}")
    for text in done.warnings:
        typer.echo(f"warning: {text}", err=True)
    typer.echo(
        f"next: metaphase detect --labels LABELS --model {shlex.quote(str(out))} --out found"
    )
    typer.echo(
        "then: metaphase evaluate found --labels LABELS --choose-threshold "
        f"--save-threshold-in {shlex.quote(str(out))}"
    )


def _names(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise typer.BadParameter(f"--classes {text!r} holds an empty name")
    return names


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """Return numbers that are separated by commas; all but those of --mean are positive."""
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    least = 0.0 if option == "--mean" else 1e-6
    if not numbers or not all(math.isfinite(n) and n >= least for n in numbers):
        raise typer.BadParameter(f"{option} {text!r} is not a list of numbers such as 8,16,32")
    return numbers


def _triple(option: str, text: str | None) -> tuple[float, float, float] | None:
    numbers = _numbers(option, text)
    if numbers is None:
        return None
    if len(numbers) != 3:
        raise typer.BadParameter(f"{option} {text!r} is not three numbers, for R,G,B")
    red, green, blue = numbers
    return red, green, blue


def _sizes(text: str | None) -> tuple[tuple[float, ...], ...] | None:
    if text is None:
        return None
    levels = (_numbers("--anchor-sizes", level) for level in text.split(";"))
    return tuple(level for level in levels if level is not None)
