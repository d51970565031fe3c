"""``python -m tests.fuzz [TARGET...] --inputs N --seconds S --seed S``: fuzz the readers.

Exit code: 0 all inputs were answered, 1 one was not (it is saved), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.engine import Outcome, run
from tests.fuzz.targets import TARGETS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen targets (all by default) one after the other."""
    options = _parser().parse_args(arguments)
    if options.list:
        print("\n".join(TARGETS))
        return 0
    unknown = [name for name in options.targets if name not in TARGETS]
    if unknown:
        print(f"unknown target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
        return 2
    if options.coverage and find_spec("atheris") is None:
        print("--coverage needs Atheris: pip install atheris")
        return 2
    outcomes = []
    for name in options.targets or TARGETS:
        outcome = run(
            TARGETS[name],
            inputs=options.inputs,
            seconds=options.seconds,
            seed=options.seed,
            failures=options.failures,
            coverage=options.coverage,
        )
        print(_line(outcome), flush=True)
        outcomes.append(outcome)
    failed = [outcome for outcome in outcomes if outcome.failure]
    total = sum(outcome.inputs for outcome in outcomes)
    cpu_s = sum(outcome.cpu_s for outcome in outcomes)
    print(f"{total:,} inputs in {cpu_s:.0f} s of CPU, {len(failed)} failures")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="by default all")
    parser.add_argument("--inputs", type=int, default=1000, help="for each target (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="for each target (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other inputs")
    parser.add_argument("--coverage", action="store_true", help="choose by coverage, with Atheris")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"), help="folder")
    parser.add_argument("--list", action="store_true", help="print the targets")
    return parser


def _line(outcome: Outcome) -> str:
    line = f"{outcome.target}: {outcome.inputs:,} inputs in {outcome.seconds:.1f} s"
    line += f" ({outcome.cpu_s:.1f} s of CPU)"
    if not outcome.failure:
        return line
    return f"{line}: FAILED on {outcome.saved}\n{outcome.failure}"


if __name__ == "__main__":
    sys.exit(main())
