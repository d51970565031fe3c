"""The commands: their names, modules and short descriptions.

A command's module is imported only when it is called, so that ``metaphase --help`` is instant. A
module holds ``app``, a ``typer.Typer``: with one command for ``metaphase NAME``, or with several
for ``metaphase NAME SUBCOMMAND``.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as of typing, whose import takes time in which Ctrl-C shows a traceback
if TYPE_CHECKING:
    from typing import Any

INTERRUPTED = 130

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("metaphase.cli.demo", "Show all of it: real images, then a short training."),
    "sample": ("metaphase.cli.sample", "Write real sample images with labels."),
    "phantom": ("metaphase.cli.phantom", "Make synthetic images with labels."),
    "data": ("metaphase.cli.data", "Check, show, split, convert and download labels."),
    "doctor": ("metaphase.cli.doctor", "Check a recipe and its data before training."),
    "recipes": ("metaphase.cli.recipes", "List the bundled recipes, or copy one."),
    "config": ("metaphase.cli.config", "Print the defaults that metaphase.toml sets."),
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
    "import": ("metaphase.cli.importmodel", "Use a network that was trained elsewhere (ONNX)."),
    "exchange": ("metaphase.cli.exchange", "Convert detections to and from other tools."),
    "container": ("metaphase.cli.container", "Make a Grand Challenge algorithm of a model."),
    "view": ("metaphase.cli.view", "Review figures on a local web page."),
    "learn": ("metaphase.cli.learn", "Train a detector of your own by reviewing candidates."),
}


def load(name: str) -> Any:
    """Import a command's module and return its ``app``."""
    return import_module(COMMANDS[name][0]).app
