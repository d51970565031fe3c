"""Print the measures of the package, or draw its rooms."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.house.drawing import draw
from tests.house.imports import circles, module_graph
from tests.house.measures import measure


def main() -> int:
    """Run the command and return its exit code: 1 where a limit does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.house", description=__doc__)
    parser.add_argument("--draw", metavar="FILE.svg", type=Path, help="draw the rooms")
    options = parser.parse_args()
    if options.draw is not None:
        options.draw.write_text(draw(), encoding="utf-8")
        return 0
    measured = measure()
    print(f"{len(measured.modules)} modules, median {measured.median_module:g} lines")
    print(f"{len(measured.functions)} functions, 90 % of up to {measured.function_length} lines")
    print(f"{measured.test_lines} lines of tests, {measured.test_ratio:.2f} of the source")
    groups = [f"circle of imports: {', '.join(group)}" for group in circles(module_graph())]
    problems = measured.problems + groups
    print(f"{len(measured.untested)} modules without a test file: {', '.join(measured.untested)}")
    print(*problems, sep="\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
