"""``metaphase demo``: detection in real images, then the whole work, from labels to scores.

Every step is a command that a person could have typed, shown before it runs.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import option

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(add_completion=False)

Step = tuple[str, list[str | Path]]
"""What a step does, and its words after ``metaphase``."""

_UNSEEN = "without-synthetic-c"


@app.command(cls=command_class(positionals=("out",), renamed={"--cases": "--cases-per-scanner"}))
def demo(
    out: Annotated[Path, option("--out")] = Path("demo-out"),
    cases_per_scanner: Annotated[int, option("--cases-per-scanner")] = 5,
    size: Annotated[int, option("--size")] = 1024,
    set_: Annotated[list[str] | None, option("--set")] = None,
) -> None:
    """Detect in the bundled sample, then run the whole work on synthetic images.

    The whole work is: labels, training, detection on a scanner that was left out, and scores. Its
    scores show that everything works, not how well on real tissue.
    """
    from rich.console import Console

    from metaphase.files import read_bytes, write_bytes
    from metaphase.locks import locked_folder
    from metaphase.training.recipe.bundled import bundled_recipe

    console = Console()
    phantom: list[str | Path] = ["--cases-per-scanner", str(cases_per_scanner), "--size", str(size)]
    changes = [part for change in set_ or () for part in ("--set", change)]
    with locked_folder(out):
        write_bytes(out / "recipe.toml", read_bytes(bundled_recipe("demo")))
        _run([*_on_the_sample(out), *_on_synthetic_images(out, phantom, changes)], console)
    pictures = [_picture(out / "sample-detections"), _picture(out / "detections")]
    console.print(
        f"\nImages with their detections: {pictures[0]} (real), {pictures[1]} (synthetic).\n"
        f"Scores: {out / 'scores.json'}; training: {out / 'run' / 'metrics.csv'}; "
        f"model: {out / 'run' / 'model'}.",
        soft_wrap=True,
    )


def _on_the_sample(out: Path) -> list[Step]:
    sample, found = out / "sample", out / "sample-detections"
    return [
        ("write three real fields with labels", ["sample", "--out", sample]),
        ("detect in them with the bundled model", ["detect", "--labels", sample, "--out", found]),
        ("compare with the labels", ["evaluate", found, "--labels", sample, "--resamples", "0"]),
    ]


def _on_synthetic_images(out: Path, phantom: list[str | Path], changes: list[str]) -> list[Step]:
    labels, images = out / "data" / "MIDOG.json", out / "data" / "images"
    split = out / "splits" / f"{_UNSEEN}.json"
    found, run = out / "detections", out / "run"
    recipe = out / "recipe.toml"
    test: list[str | Path] = ["--labels", labels, "--images", images, "--split", split]
    test += ["--part", "test"]
    return [
        ("make synthetic cases of four scanners, one of them unlabelled",
         ["phantom", "--out", out / "data", *phantom]),
        ("check the labels",
         ["data", "check", labels, "--images", images]),
        ("leave one scanner out at a time",
         ["data", "split", "leave-one-out", labels, "--by", "scanner", "--out", split.parent]),
        ("examine the recipe before the first step",
         ["doctor", recipe, *changes]),
        ("train without scanner C",
         ["train", recipe, "--out", run, *changes]),
        ("detect in whole regions of scanner C",
         ["detect", *test, "--model", run / "model", "--out", found]),
        ("score them, and on patches that are placed by the truth",
         ["evaluate", found, *test, "--protocol", "exercise", "--out", out / "scores.json"]),
    ]  # fmt: skip


def _run(steps: list[Step], console: Console) -> None:
    """Run the steps one after the other. Raises MetaphaseError at the first that fails."""
    from metaphase.errors import MetaphaseError

    # The settings of a user must not change the demo.
    environment = {**os.environ, "METAPHASE_CONFIG": ""}
    for number, (what, command) in enumerate(steps, start=1):
        words = ["metaphase", *map(str, command)]
        console.print(f"\n[bold]{number}/{len(steps)} {what}[/bold]")
        console.print(f"$ {shlex.join(words)}", style="dim", soft_wrap=True)
        done = subprocess.run([sys.executable, "-m", *words], check=False, env=environment)
        if code := done.returncode:
            raise MetaphaseError(f"the demo stopped at: {shlex.join(words)} (exit code {code})")


def _picture(folder: Path) -> Path:
    """Return one of the overlays in a folder of results."""
    return next(iter(sorted(folder.glob("*/overlay.png"))), folder)
