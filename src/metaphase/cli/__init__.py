"""The command line: one thin module a command.

``COMMANDS`` names them all; a command's module is imported only when it is called, so that
``metaphase --help`` is instant. A module holds ``app``, a ``typer.Typer``: with one command for
``metaphase NAME``, or with several for ``metaphase NAME SUBCOMMAND``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("metaphase.cli.demo", "The main job from end to end, on synthetic images."),
    "phantom": ("metaphase.cli.phantom", "Make a synthetic data set: labels and pixels."),
    "data": ("metaphase.cli.data", "Check, split, convert and download labels."),
    "doctor": ("metaphase.cli.doctor", "Examine a recipe and its data before training."),
    "train": ("metaphase.cli.train", "Train a detector from a recipe."),
    "adapt": ("metaphase.cli.adapt", "Adapt a model to unlabelled images of a scanner."),
    "cross-validate": ("metaphase.cli.cross_validate", "Train and score leaving groups out."),
    "detect": ("metaphase.cli.detect", "Find mitotic figures in images and slides."),
    "evaluate": ("metaphase.cli.evaluate", "Score detections against labels."),
    "stress": ("metaphase.cli.stress", "Sweep stain, blur, JPEG and mpp; draw F1 and count."),
    "count": ("metaphase.cli.count", "Mitotic count at the hotspot."),
    "report": ("metaphase.cli.report", "Write one HTML file of scores, curves and pictures."),
    "sheet": ("metaphase.cli.sheet", "Contact sheets of what is false, missed and found."),
    "card": ("metaphase.cli.card", "What a model tells about itself."),
    "export": ("metaphase.cli.export", "Write a model for other runtimes and precisions."),
    "exchange": ("metaphase.cli.exchange", "Convert detections to and from other tools."),
    "container": ("metaphase.cli.container", "Make a Grand Challenge algorithm of a model."),
    "view": ("metaphase.cli.view", "Review figures on a local page."),
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors of ours are told in a few lines and exit with their code."""
    from metaphase.cli.app import group
    from metaphase.errors import MetaphaseError

    try:
        group()(args=arguments, prog_name="metaphase")
    except MetaphaseError as error:
        print(f"metaphase: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def load(name: str) -> Any:
    """Import a command's module and return its ``app``."""
    return import_module(COMMANDS[name][0]).app
