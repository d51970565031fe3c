"""``make bench``: run benchmarks, print their rows, and write them as JSON.

    python -m benchmarks                      # those that take minutes
    python -m benchmarks --large              # all of them, in full size
    python -m benchmarks --list
    python -m benchmarks --only endtoend runtimes --json speed.json --model runs/compact/model

Run it on an idle computer: compared things are measured one after the other, in turns.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import platform
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.scene import INSTRUCTIONS
from metaphase import __version__
from metaphase.detection.cores import physical_cores
from metaphase.files import write_json

SMALL = (
    *("startup", "patches", "augment", "evaluation", "hotspot", "count", "records"),
    *("reading", "endtoend", "runtimes", "reference", "memory", "scaling", "viewer"),
    *("fields", "cohort", "models"),
)
LARGE = ("slide",)
"""Those that are run only where they are named, or with --large."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked for."""
    names = (*SMALL, *LARGE)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed.")
    parser.add_argument("--list", action="store_true", help="list the benchmarks")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="only these")
    parser.add_argument("--large", action="store_true", help="all, at full size (an hour)")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that it runs")
    parser.add_argument("--model", help="model file (default: an untrained compact network)")
    parser.add_argument("--against", help="another model file, for the benchmark 'models'")
    parser.add_argument(
        "--instructions",
        choices=("avx2",),
        help="the instructions that OpenVINO may use, as on a CPU that has no others",
    )
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where rows go")
    given = parser.parse_args(arguments)
    if given.list:
        for name in names:
            print(f"{name:12}{'  (--large)' if name in LARGE else '':11}  {_title(name)}")
        return
    if given.instructions:
        os.environ[INSTRUCTIONS] = given.instructions.upper()
    size = "large" if given.large else "tiny" if given.tiny else "small"
    chosen = given.only or (names if given.large else SMALL)
    written: dict[str, Any] = {"computer": computer(), "size": size, "benchmarks": {}}
    for name in chosen:
        written["benchmarks"][name] = _run(
            name, {"size": size, "model": given.model, "against": given.against}
        )
        write_json(given.json, written)
    print(f"written to {given.json}")


def _run(name: str, given: dict[str, str | None]) -> dict[str, Any]:
    """Print a benchmark's rows as they come and return them."""
    console = Console()
    table = Table(title=_title(name))
    for column in ("what", "measured", "against", "ratio"):
        table.add_column(column)
    began, rows = time.perf_counter(), []
    for row in _rows(name, given):
        table.add_row(*row)
        rows.append(dict(zip(("what", "measured", "against", "ratio"), row, strict=True)))
        console.print(f"[dim]{name}: {' | '.join(row)}[/]", highlight=False)
    console.print(table)
    return {"title": _title(name), "seconds": time.perf_counter() - began, "rows": rows}


def _rows(name: str, given: dict[str, str | None]) -> Iterator[tuple[str, str, str, str]]:
    """Call a benchmark with those of the values given on the command line that it knows."""
    rows = importlib.import_module(f"benchmarks.{name}").rows
    known = inspect.signature(rows).parameters
    yield from rows(**{key: value for key, value in given.items() if key in known})


def _title(name: str) -> str:
    """Return the first sentence of a benchmark, without importing what it needs."""
    text = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
    return text.split('"""')[1].strip().splitlines()[0]


def computer() -> dict[str, Any]:
    """Return what the figures are of."""
    return {
        "metaphase": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "instructions": os.environ.get(INSTRUCTIONS, "all"),
        "cores": physical_cores(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "versions": dict(_versions()),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _versions() -> Iterator[tuple[str, str]]:
    from importlib.metadata import PackageNotFoundError, version

    for name in ("onnxruntime", "openvino", "torch", "torchvision", "distributed", "numpy"):
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


if __name__ == "__main__":
    main()
