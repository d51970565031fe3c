"""All readers of paths that users name refuse named pipes instead of waiting for a writer."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import metaphase
from metaphase.detection.inputs import jobs_for_paths
from metaphase.detectionfile import load_detections
from metaphase.errors import InputError
from metaphase.labels.read import load_dataset
from metaphase.models.modelfile import load_model
from metaphase.qupath.geometry import read_polygons
from metaphase.slides.open import open_slide
from metaphase.training.recipe.recipe import load_recipe

PACKAGE = Path(metaphase.__file__).parent
OWN_FILES = {
    "cli/recipes.py": "recipes of the package",
    "detection/checkpoint.py": "blocks that metaphase wrote itself",
    "detection/cores.py": "files of the operating system",
    "detection/runtime.py": "a graph that was checked when the model was loaded",
    "files.py": "the functions that check",
    "labels/sample.py": "the sample of the package",
    "labels/download/http.py": "downloads that metaphase wrote itself",
    "models/export.py": "temporary files",
    "models/precision.py": "temporary files",
    "report/template.py": "files of the package",
    "training/adapt/existing.py": "files that metaphase wrote itself",
    "training/checks/network.py": "files of the operating system",
    "training/fit/precision.py": "files of the operating system",
    "training/folds/parallel.py": "logs that metaphase wrote itself",
}
"""Modules that open files directly, and why users cannot put a named pipe there."""


_LIBRARIES = ("Image.open", "dcmread", "pydicom.dcmread", "tomllib.load", "json.load")
"""Functions of libraries that take a path or a stream."""


def direct_reads(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that open a path for reading without ``metaphase.files``."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        first = ast.unparse(node.args[0]) if node.args else ""
        if ast.unparse(node.func) in _LIBRARIES and first != "stream":
            yield node.lineno
        if name in ("read_text", "read_bytes") and ast.unparse(node.func) not in (
            "files.read_text",
            "files.read_bytes",
        ):
            yield node.lineno
        mode = next((a.value for a in node.args if isinstance(a, ast.Constant)), "r")
        of_path = name == "open" and not ast.unparse(node.func).startswith(
            ("Image.", "self.", "webbrowser.")
        )
        keywords = {keyword.arg for keyword in node.keywords}
        if of_path and (mode in ("r", "rb") and (node.args or "encoding" in keywords)):
            yield node.lineno


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.relative_to(PACKAGE).as_posix()
)
def test_paths_are_opened_by_the_functions_that_check(path: Path) -> None:
    if path.relative_to(PACKAGE).as_posix() in OWN_FILES:
        return
    assert list(direct_reads(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_the_check_itself() -> None:
    text = "p.read_text()\np.open('rb')\np.open(encoding='x')\np.open('wb')\nfiles.read_text(p)"
    text += "\nImage.open(p)\nImage.open(stream)"
    assert list(direct_reads(ast.parse(text))) == [1, 2, 3, 6]


READERS = {
    "slide": open_slide,
    "labels": load_dataset,
    "list": lambda path: jobs_for_paths([path.rename(path.with_suffix(".txt"))]),
    "roi": read_polygons,
    "recipe": load_recipe,
    "model": lambda path: load_model(path.parent),
    "detections": load_detections,
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("kind", READERS)
def test_a_named_pipe_is_an_error_in_words(tmp_path: Path, kind: str) -> None:
    name = {"model": "card.json", "recipe": "a.toml", "detections": "detections.json"}
    path = tmp_path / name.get(kind, "a.json")
    os.mkfifo(path)
    if kind == "detections":
        (tmp_path / "detections.csv").touch()
        path = tmp_path
    with pytest.raises(InputError, match=r"named pipe|is not a file|holds no card"):
        READERS[kind](path)  # type: ignore[operator]
