"""The command line: one thin module a command.

``COMMANDS`` names them all. A command's module is imported only when it is called, so that
``metaphase --help`` is instant. A module holds ``app``, a ``typer.Typer``: with one command for
``metaphase NAME``, or with several for ``metaphase NAME SUBCOMMAND``.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

INTERRUPTED = 130

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("metaphase.cli.demo", "Run the whole work once, on synthetic images."),
    "sample": ("metaphase.cli.sample", "Write real sample images with labels."),
    "phantom": ("metaphase.cli.phantom", "Make synthetic images with labels."),
    "data": ("metaphase.cli.data", "Check, show, split, convert and download labels."),
    "doctor": ("metaphase.cli.doctor", "Check a recipe and its data before training."),
    "recipes": ("metaphase.cli.recipes", "List the bundled recipes, or copy one."),
    "train": ("metaphase.cli.train", "Train a detector from a recipe."),
    "adapt": ("metaphase.cli.adapt", "Adapt a model to unlabelled images of a scanner."),
    "cross-validate": ("metaphase.cli.cross_validate", "Train and score, leaving groups out."),
    "detect": ("metaphase.cli.detect", "Find mitotic figures in images and slides."),
    "evaluate": ("metaphase.cli.evaluate", "Score detections against labels."),
    "compare": ("metaphase.cli.compare", "Compare two models or sets of detections."),
    "stress": ("metaphase.cli.stress", "Measure scores under changes of stain, focus and scale."),
    "count": ("metaphase.cli.count", "Compute the mitotic count at the hotspot."),
    "report": ("metaphase.cli.report", "Write scores, curves and images as one HTML file."),
    "sheet": ("metaphase.cli.sheet", "Draw contact sheets of errors and true positives."),
    "card": ("metaphase.cli.card", "Print the card of a model."),
    "export": ("metaphase.cli.export", "Write a model in another number format."),
    "exchange": ("metaphase.cli.exchange", "Convert detections to and from other tools."),
    "container": ("metaphase.cli.container", "Make a Grand Challenge algorithm of a model."),
    "view": ("metaphase.cli.view", "Review figures on a local web page."),
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code.

    0: success; 1: some items of a batch failed; 2: wrong input; 130: interrupted.
    """
    if arguments is not None:  # called from Python, which keeps its own signal handlers
        _run(arguments)
        return
    try:
        from metaphase.cli.terminal import accept_all_characters, end_at_second_interrupt

        accept_all_characters()
        end_at_second_interrupt()
        _run(arguments)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)
    finally:
        from metaphase.cli.terminal import end_at_next_interrupt

        end_at_next_interrupt()


def _run(arguments: list[str] | None) -> None:
    from metaphase.cli.app import group
    from metaphase.cli.terminal import TRACEBACK, old_names_as_notes, system_error_text
    from metaphase.errors import MetaphaseError

    try:
        with old_names_as_notes():
            group()(args=arguments, prog_name="metaphase")
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            print("metaphase: interrupted", file=sys.stderr)
        raise
    except MetaphaseError as error:
        _fail(str(error), error.exit_code)
    except (OSError, MemoryError) as error:
        if TRACEBACK in os.environ:
            raise
        _fail(system_error_text(error), 2)


def _fail(message: str, code: int) -> None:
    print(f"metaphase: {message}", file=sys.stderr)
    sys.exit(code)


def load(name: str) -> Any:
    """Import a command's module and return its ``app``."""
    return import_module(COMMANDS[name][0]).app
