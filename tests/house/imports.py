"""The rooms of the package in their order, and every import between modules."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import metaphase

PACKAGE = Path(metaphase.__file__).parent
ROOMS = (
    *("labels", "slides", "phantom", "models", "detection", "evaluation", "training", "stress"),
    *("counting", "exchange", "report", "learning", "viewer", "cli"),
)
"""Folders in the order of the data flow: each may import the ground floor and those before it."""
GROUND_ROOMS = ("stain", "qupath", "imagefiles")
"""Folders of the ground floor: they import the ground floor only, and all rooms may import them."""
FRONT_DOORS = ("__init__.py", "__main__.py")
"""Files of the package's root that name modules of rooms, and import them only when asked to."""
TORCH = {"torch", "torchvision", "timm", "pytorch_lightning", "lightning", "safetensors"}
MAY_USE_TORCH = ("training/", "models/networks/", "models/export.py")


@dataclass(frozen=True)
class Import:
    """One module that a file imports: where, and whether as soon as the file is imported."""

    module: str
    line: int
    at_once: bool


def modules() -> list[Path]:
    """Return all modules of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """Return a module's path inside the package, with slashes."""
    return path.relative_to(PACKAGE).as_posix()


def dotted_name_of(path: Path) -> str:
    """Return the name by which a module is imported."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(("metaphase", *(part for part in parts if part != "__init__")))


def package_of(path: Path) -> str:
    """Return the package that a module lies in, with dots."""
    return ".".join(("metaphase", *path.relative_to(PACKAGE).parent.parts))


def room_of(module: str) -> str | None:
    """Return the room of a dotted name, None for the ground floor and for other packages."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "metaphase" and parts[1] in ROOMS else None


def imports_of(tree: ast.AST, package: str) -> Iterator[Import]:
    """Yield every import of a file, also those for type checking and inside functions."""
    yield from _walk(tree, package, at_once=True)


def wrong_rooms(path: Path, text: str) -> list[str]:
    """Return a sentence for each import from a room that comes after the file's own."""
    parts = path.relative_to(PACKAGE).parts
    own = parts[0] if len(parts) > 1 else None
    if own is None and path.name in FRONT_DOORS:
        return []
    reach = ROOMS.index(own) if own in ROOMS else -1
    return [
        f"{name_of(path)}:{imported.line} imports {imported.module}"
        for imported in imports_of(ast.parse(text), package_of(path))
        if (room := room_of(imported.module)) is not None and ROOMS.index(room) > reach
    ]


def module_graph() -> dict[str, set[str]]:
    """Return for each module those it imports anywhere: at once, later, or for type checking."""
    names = {dotted_name_of(path) for path in modules()}
    graph: dict[str, set[str]] = {}
    for path in modules():
        if path.parent == PACKAGE and path.name in FRONT_DOORS:
            continue
        imported = {i.module for i in imports_of(parsed(path), package_of(path))}
        own = dotted_name_of(path)
        graph[own] = {name for name in imported & names if name != own and name != "metaphase"}
    return graph


def rooms_used() -> dict[str, set[str]]:
    """Return for each room the other rooms that it imports from, ground-floor rooms included."""
    folders = (*GROUND_ROOMS, *ROOMS)
    used: dict[str, set[str]] = {room: set() for room in folders if (PACKAGE / room).is_dir()}
    for module, imported in module_graph().items():
        own = module.split(".")[1]
        if own in used:
            used[own] |= {name.split(".")[1] for name in imported} & used.keys() - {own}
    return used


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other in a circle (Tarjan 1972)."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    groups = []

    def visit(module: str) -> None:
        numbers[module] = lowest[module] = len(numbers)
        stack.append(module)
        for other in graph.get(module, ()):
            if other not in numbers:
                visit(other)
            if other in stack:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == numbers[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                groups.append(sorted(group))

    for module in sorted(graph):
        if module not in numbers:
            visit(module)
    return groups


@cache
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


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
