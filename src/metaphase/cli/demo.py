"""``metaphase demo``: the whole work, from labels to scores, on synthetic images.

Every step is a command that a person could have typed, shown before it runs.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import option

app = typer.Typer(add_completion=False)

_UNSEEN = "without-synthetic-c"


@app.command(cls=command_class(positionals=("out",), renamed={"--cases": "--cases-per-scanner"}))
def demo(
    out: Annotated[Path, option("--out")] = Path("demo-out"),
    cases_per_scanner: Annotated[int, option("--cases-per-scanner")] = 5,
    size: Annotated[int, option("--size")] = 1024,
    set_: Annotated[list[str] | None, option("--set")] = None,
) -> None:
    """Run the whole work: labels, training, detection on an unseen scanner, and scores.

    The images are synthetic. The scores show that everything works, not how well on real tissue.
    """
    from rich.console import Console

    from metaphase.errors import MetaphaseError
    from metaphase.training.recipe.bundled import bundled_recipe

    console = Console()
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(bundled_recipe("demo"), out / "recipe.toml")
    labels, images = out / "data" / "MIDOG.json", out / "data" / "images"
    split = out / "splits" / f"{_UNSEEN}.json"
    found, run = out / "detections", out / "run"
    changes = [part for change in set_ or () for part in ("--set", change)]
    steps: list[tuple[str, list[str | Path]]] = [
        ("make synthetic cases of four scanners, one of them unlabelled",
         ["phantom", "--out", out / "data", "--cases-per-scanner", str(cases_per_scanner),
          "--size", str(size)]),
        ("check the labels",
         ["data", "check", labels, "--images", images]),
        ("leave one scanner out at a time",
         ["data", "split", "leave-one-out", labels, "--by", "scanner", "--out", split.parent]),
        ("examine the recipe before the first step",
         ["doctor", out / "recipe.toml", *changes]),
        ("train without scanner C",
         ["train", out / "recipe.toml", "--out", run, *changes]),
        ("detect in whole regions of scanner C",
         ["detect", "--labels", labels, "--images", images, "--split", split, "--part", "test",
          "--model", run / "model", "--out", found]),
        ("score them, and on patches that are placed by the truth",
         ["evaluate", found, "--labels", labels, "--images", images, "--split", split,
          "--part", "test", "--protocol", "exercise", "--out", out / "scores.json"]),
    ]  # fmt: skip
    for number, (what, command) in enumerate(steps, start=1):
        words = ["metaphase", *map(str, command)]
        console.print(f"\n[bold]{number}/{len(steps)} {what}[/bold]")
        console.print(f"$ {shlex.join(words)}", style="dim", soft_wrap=True)
        code = subprocess.run([sys.executable, "-m", *words], check=False).returncode
        if code:
            raise MetaphaseError(f"the demo stopped at: {shlex.join(words)} (exit code {code})")
    pictures = ", ".join(str(path) for path in sorted(found.glob("*/overlay.png"))[:1])
    console.print(
        f"\nLook at {pictures} (and its neighbours), {run / 'metrics.csv'} and "
        f"{out / 'scores.json'}; the model is {run / 'model'}.",
        soft_wrap=True,
    )
