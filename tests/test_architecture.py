"""Holds the code to docs/architecture.md: a room uses the ground floor and the rooms above it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.imports import (
    GROUND_ROOMS,
    MAY_USE_TORCH,
    PACKAGE,
    ROOMS,
    TORCH,
    imports_of,
    modules,
    name_of,
    package_of,
    wrong_rooms,
)

DOCUMENT = Path(__file__).parents[1] / "docs" / "architecture.md"
MODULES = modules()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_uses_only_the_rooms_above_it(path: Path) -> None:
    assert wrong_rooms(path, path.read_text(encoding="utf-8")) == []


def test_every_folder_is_a_room_of_the_document() -> None:
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and (p / "__init__.py").exists()}
    assert folders <= {*ROOMS, *GROUND_ROOMS}, "add new rooms to tests/house/imports.py"
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [room for room in folders if f"`{room}/`" not in text] == []
    places = [text.index(f"`{room}/`") for room in ROOMS if room in folders]
    assert places == sorted(places), "the document's table has the same order"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_few_modules_import_torch(path: Path) -> None:
    if name_of(path).startswith(MAY_USE_TORCH):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = [
        f"{name_of(path)}:{found.line} imports {found.module}"
        for found in imports_of(tree, package_of(path))
        if found.at_once and found.module.split(".")[0] in TORCH
    ]
    assert imported == []


@pytest.mark.parametrize(
    ("file", "text", "refused"),
    [
        ("labels/x.py", "from metaphase.slides.open import open_slide", True),
        ("labels/x.py", "def f():\n    import metaphase.training.train", True),
        ("labels/x.py", "if TYPE_CHECKING:\n    from metaphase.slides import slide", True),
        ("labels/x.py", "from metaphase import slides", True),
        ("labels/x.py", "from ..slides import slide", True),
        ("units.py", "from metaphase.labels.dataset import Case", True),
        ("stain/x.py", "from metaphase.labels.dataset import Case", True),
        ("labels/x.py", "from metaphase.stain.vectors import RUIFROK", False),
        ("slides/x.py", "from metaphase.labels.dataset import Case", False),
        ("labels/x.py", "from .dataset import Case", False),
        ("labels/x.py", "import numpy\nfrom metaphase.units import um_to_px", False),
        ("cli/x.py", "from metaphase.training.train import train", False),
    ],
)
def test_the_check_itself(file: str, text: str, refused: bool) -> None:
    assert bool(wrong_rooms(PACKAGE / file, text)) is refused
