"""The effect of augmentation and domain adaptation on a new scanner, in two tables.

    python -m studies.generalization synthetic OUT [--jobs 2]
    python -m studies.generalization real OUT [--jobs 2] [--epochs 6]

``synthetic``: four labelled synthetic scanners; trained on one and tested on the other three, and
leave one scanner out. The gap is the difference between training on other scanners and training on
all (both without any method), with equal numbers of patches. 53 runs of about 1.5 minutes on one
thread (estimated from 0.18 s of processor time per step).

``real``: crops of ``ami_br`` together with fields of ICPR 2012 (under $METAPHASE_DATA). The slides
of a scanner are divided in two halves: the second is tested, the first is trained on only where the
scanner is "included". Recall is measured at the threshold with 10 false positives per mm2 on the
fields of slide A04, which no model was trained on. 16 runs.

Runs are processes with one thread each, ``--jobs`` at a time. Finished runs are kept in OUT: the
same command resumes after an interruption and prints the table at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from studies.generalization_plan import Plan, method_names
from studies.generalization_real import real_plan, real_table, run_real
from studies.generalization_synthetic import (
    make_data,
    run_synthetic,
    synthetic_plan,
    synthetic_table,
)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["synthetic", "real"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    parser.add_argument("--epochs", type=int, help="of a run (synthetic 8, real 6)")
    parser.add_argument(
        "--best",
        default="augment,stain-transfer,align",
        help=f"methods of 'best', joined by commas: {', '.join(method_names())}",
    )
    parser.add_argument("--methods", help="these rows only, joined by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="a try of the machinery, no figures")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    synthetic = given.part == "synthetic"
    plan = Plan(
        out=given.out,
        best=tuple(given.best.split(",")),
        epochs=given.epochs or (8 if synthetic else 6),
        seed=given.seed,
        tiny=given.tiny,
        methods=tuple(given.methods.split(",")) if given.methods else (),
    )
    if given.run:
        (run_synthetic if synthetic else run_real)(plan, given.run)
        return
    if synthetic:
        make_data(plan)
    names = (synthetic_plan if synthetic else real_plan)(plan)
    passed = sys.argv[1:] if words is None else list(words)
    with ThreadPoolExecutor(given.jobs) as pool:
        failed = [name for name in pool.map(lambda n: _process(plan, passed, n), names) if name]
    if failed:
        sys.exit(f"{len(failed)} runs failed, see their log.txt: {', '.join(failed)}")
    results = {name: json.loads(plan.result(name).read_text()) for name in names}
    print((synthetic_table if synthetic else real_table)(plan, results))


def _process(plan: Plan, words: list[str], name: str) -> str | None:
    """Run one in its own process; return its name if it failed."""
    if plan.result(name).is_file():
        return None
    folder = plan.result(name).parent
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "studies.generalization", *words, "--run", name]
    one = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with (folder / "log.txt").open("w") as log:
        ended = subprocess.run(command, stdout=log, stderr=log, env={**os.environ, **one})
    good = ended.returncode == 0 and plan.result(name).is_file()
    print(f"{'done' if good else 'FAILED'}: {name}", file=sys.stderr, flush=True)
    return None if good else name


if __name__ == "__main__":
    main()
