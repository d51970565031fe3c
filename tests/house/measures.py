"""Sizes of modules and functions, and how far the tests mirror the modules."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.house.imports import PACKAGE, modules, name_of, parsed

TESTS = Path(__file__).resolve().parents[1]
MODULE_LINES = 350
MEDIAN_MODULE_LINES = 150
FUNCTION_LINES = 25
FUNCTION_SHARE = 0.9
"""This share of the functions is at most ``FUNCTION_LINES`` long."""
TEST_RATIO = 0.7

LONG_MODULES: dict[str, str] = {}
"""Modules that may be longer than ``MODULE_LINES``: name and reason."""
MOST_UNTESTED = 5
"""Modules without a test file of their own, which the tests of their room cover: never more."""


@dataclass(frozen=True)
class Measures:
    """What is measured of the package; ``problems`` says which limits do not hold."""

    modules: dict[str, int]
    functions: dict[str, int]
    untested: tuple[str, ...]
    source_lines: int
    test_lines: int

    @property
    def median_module(self) -> float:
        """Median number of lines of a module."""
        return median(self.modules.values())

    @property
    def long_modules(self) -> list[str]:
        """Modules above the limit that are not named as exceptions."""
        return [
            name
            for name, lines in self.modules.items()
            if lines > MODULE_LINES and name not in LONG_MODULES
        ]

    @property
    def function_length(self) -> int:
        """The length that ``FUNCTION_SHARE`` of the functions do not exceed."""
        lengths = sorted(self.functions.values())
        return lengths[min(int(FUNCTION_SHARE * len(lengths)), len(lengths) - 1)]

    @property
    def test_ratio(self) -> float:
        """Lines of tests over lines of source."""
        return self.test_lines / self.source_lines

    @property
    def problems(self) -> list[str]:
        """A sentence for each limit that does not hold."""
        found = [
            f"{name} has {self.modules[name]} lines, more than {MODULE_LINES}"
            for name in self.long_modules
        ]
        if self.median_module > MEDIAN_MODULE_LINES:
            found.append(f"the median module has {self.median_module:g} lines")
        if self.function_length > FUNCTION_LINES:
            found.append(
                f"{FUNCTION_SHARE:.0%} of the functions have up to {self.function_length} lines, "
                f"more than {FUNCTION_LINES}"
            )
        if self.test_ratio < TEST_RATIO:
            found.append(f"tests are {self.test_ratio:.2f} of the source, less than {TEST_RATIO}")
        if len(self.untested) > MOST_UNTESTED:
            found.append(f"{len(self.untested)} modules have no test file: {self.untested}")
        return found


def measure() -> Measures:
    """Measure the package and its tests."""
    sizes = {name_of(path): _lines(path) for path in modules()}
    functions = {
        f"{name_of(path)}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in modules()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    untested = tuple(name_of(path) for path in modules() if not _tested(path))
    return Measures(
        {name: lines for name, lines in sizes.items() if not name.endswith("__init__.py")},
        functions,
        untested,
        sum(sizes.values()),
        sum(_lines(path) for path in TESTS.rglob("*.py")),
    )


def mirrored(path: Path) -> list[Path]:
    """Return where a module's tests may be: beside it in the mirrored tree, or in its room's."""
    parts = path.relative_to(PACKAGE).parts
    file = f"test_{path.name}"
    return [TESTS.joinpath(*parts[:-1], file), TESTS.joinpath(*parts[:-1][:1], file)]


def _tested(path: Path) -> bool:
    exempt = path.name in ("__init__.py", "__main__.py")
    return exempt or any(place.is_file() for place in mirrored(path))


def _lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")
