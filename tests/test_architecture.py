"""Holds the code to docs/architecture.md: a room uses the ground floor and the rooms above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import metaphase

PACKAGE = Path(metaphase.__file__).parent
DOCUMENT = Path(__file__).parents[1] / "docs" / "architecture.md"
ROOMS = (
    *("labels", "slides", "phantom", "models", "detection", "evaluation", "training"),
    *("stress", "counting", "exchange", "report", "viewer", "cli"),
)
TORCH = {"torch", "torchvision", "timm", "pytorch_lightning", "lightning", "safetensors"}
MAY_USE_TORCH = ("training/", "models/networks/", "models/export.py")
MODULES = sorted(PACKAGE.rglob("*.py"))


@dataclass(frozen=True)
class Import:
    """One module that a file imports: where, and whether as soon as the file is imported."""

    module: str
    line: int
    at_once: bool


def imports_of(tree: ast.Module, package: str) -> Iterator[Import]:
    """Yield every import of a file, also those for type checking and inside functions."""
    yield from _walk(tree, package, at_once=True)


def _walk(node: ast.AST, package: str, at_once: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, at_once)
        elif isinstance(child, ast.ImportFrom):
            base = child.module or ""
            if child.level:
                above = package.split(".")[: len(package.split(".")) - child.level + 1]
                base = ".".join([*above, base]).strip(".")
            yield Import(base, child.lineno, at_once)
            for alias in child.names:
                yield Import(f"{base}.{alias.name}", child.lineno, at_once)
        else:
            later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from _walk(child, package, at_once and not later and not checking)


def room_of(module: str) -> str | None:
    """Return the room of a dotted name, None for the ground floor and for other packages."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "metaphase" and parts[1] in ROOMS else None


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def package_of(path: Path) -> str:
    return ".".join(("metaphase", *path.relative_to(PACKAGE).parent.parts))


def wrong_rooms(path: Path, text: str) -> list[str]:
    """Return a sentence for each import that goes to a room below the file's own."""
    parts = path.relative_to(PACKAGE).parts
    own = parts[0] if len(parts) > 1 else None
    # The front doors name rooms without standing on them: they open them when they are asked to.
    if own is None and path.name in ("__init__.py", "__main__.py"):
        return []
    reach = ROOMS.index(own) if own in ROOMS else -1
    return [
        f"{name_of(path)}:{found.line} imports {found.module}"
        for found in imports_of(ast.parse(text), package_of(path))
        if (room := room_of(found.module)) is not None and ROOMS.index(room) > reach
    ]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_uses_only_the_rooms_above_it(path: Path) -> None:
    assert wrong_rooms(path, path.read_text(encoding="utf-8")) == []


def test_every_folder_is_a_room_of_the_document() -> None:
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert folders == set(ROOMS)
    text = DOCUMENT.read_text(encoding="utf-8")
    places = [text.index(f"`{room}/`") for room in ROOMS]
    assert places == sorted(places), "the document's table has the same order"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_few_modules_import_torch(path: Path) -> None:
    if name_of(path).startswith(MAY_USE_TORCH):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [
        f"{name_of(path)}:{imported.line} imports {imported.module}"
        for imported in imports_of(tree, package_of(path))
        if imported.at_once and imported.module.split(".")[0] in TORCH
    ]
    assert found == []


@pytest.mark.parametrize(
    ("file", "text", "refused"),
    [
        ("labels/x.py", "from metaphase.slides.open import open_slide", True),
        ("labels/x.py", "def f():\n    import metaphase.training.train", True),
        ("labels/x.py", "if TYPE_CHECKING:\n    from metaphase.slides import slide", True),
        ("labels/x.py", "from metaphase import slides", True),
        ("labels/x.py", "from ..slides import slide", True),
        ("units.py", "from metaphase.labels.dataset import Case", True),
        ("slides/x.py", "from metaphase.labels.dataset import Case", False),
        ("labels/x.py", "from .dataset import Case", False),
        ("labels/x.py", "import numpy\nfrom metaphase.units import um_to_px", False),
        ("cli/x.py", "from metaphase.training.train import train", False),
    ],
)
def test_the_check_itself(file: str, text: str, refused: bool) -> None:
    assert bool(wrong_rooms(PACKAGE / file, text)) is refused
