"""metaphase installed as users install it: the wheel in an empty environment.

    python -m tests.installs build DIST        build wheel and sdist, and check their contents
    python -m tests.installs base              the base install on every Python that is here
    python -m tests.installs oldest            the oldest versions that pyproject.toml allows

``base`` and ``oldest`` build the wheel, install it into a temporary environment and run commands
on the bundled sample there. ``base`` prints the size of every package and the seconds until the
first result, and fails above ``MOST_MB``. ``oldest`` also runs the tests that need no PyTorch. A
Python that is not on this computer is skipped with a message.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement

from tests.dependencies import direct_requirements

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
BASE_EXTRAS = ("cluster", "dicom", "onnx")
TEST_TOOLS = ("pytest", "hypothesis", "packaging", "httpx")
ROOMS_WITHOUT_TORCH = ("labels", "slides", "stain", "qupath", "evaluation", "counting", "exchange")
IN_WHEEL = (
    *("metaphase/__init__.py", "metaphase/py.typed", "metaphase/recipes/compact.toml"),
    *("metaphase/models/zoo/compact/card.json", "metaphase/viewer/page/index.html"),
    "metaphase/viewer/page/vendor/openseadragon.min.js",
    *("metaphase/sample/annotations.json", "metaphase/sample/LICENCE.txt"),
)
IN_SDIST = (
    *("pyproject.toml", "LICENSE", "README.md", "recipes/compact.toml", "tests/conftest.py"),
    *("requirements.lock", "Dockerfile", "compose.yaml", "docs/notebooks/scores.ipynb"),
)
NOT_IN_WHEEL = ("tests/", "studies/", "benchmarks/", "node_modules/")
MOST_MB = 600
"""Largest base installation: metaphase and all packages that it needs, compiled by pip."""
FIRST_RESULT_S = 10
"""Target for the first result after installation, on two cores."""
FIRST_RESULT = "detect --sample --out first"
TOOLS_OF_PIP = ("pip", "setuptools")
"""Packages that a new environment has by itself."""
COMMANDS = (
    "--version",
    "--help",
    "recipes",
    "card",
    "sample --out sample",
    "detect --labels sample --out found",
    "config",
    "count found --out counts",
    "evaluate found --labels sample --out scores.json",
    "exchange convert found --to csv --out figures.csv",
)


def build(dist: Path) -> Path:
    """Build wheel and sdist into ``dist``, check what they contain, and return the wheel."""
    shutil.rmtree(dist, ignore_errors=True)
    run([sys.executable, "-m", "build", "--outdir", str(dist), str(ROOT)])
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        check_contents(wheel, archive.namelist())
    with tarfile.open(sdist) as archive_:
        names = [name.partition("/")[2] for name in archive_.getnames()]
    missing = [name for name in IN_SDIST if name not in names]
    if missing:
        raise SystemExit(f"{sdist.name} lacks {', '.join(missing)}")
    run([sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)])
    return wheel


def check_contents(wheel: Path, names: Sequence[str]) -> None:
    """Exit with a message if a wheel lacks a file, or holds one that does not belong there."""
    missing = [name for name in IN_WHEEL if name not in names]
    extra = [name for name in names if name.startswith(NOT_IN_WHEEL)]
    if missing or extra:
        raise SystemExit(f"{wheel.name} lacks {missing}, and should not hold {extra}")


def check_base(wheel: Path) -> None:
    """Run the commands on the sample on every Python that is on this computer."""
    for version in PYTHONS:
        python = find_python(version)
        if python is None:
            print(f"Python {version}: skipped, it is not on this computer")
            continue
        with tempfile.TemporaryDirectory() as name:
            tool = environment(python, Path(name), [str(wheel)])
            code = "import importlib.util as u; assert u.find_spec('torch') is None, 'PyTorch'"
            run([str(tool), "-c", code])
            first = time_first_result(tool, Path(name))
            try_commands(tool, Path(name))
            print(f"Python {version}: the base installation works")
            print(f"first result after {first:.1f} s ({FIRST_RESULT}; target {FIRST_RESULT_S} s)")
            check_size(tool)


def check_oldest(wheel: Path) -> None:
    """Install the oldest allowed versions; run the commands and the tests without PyTorch."""
    python = find_python(PYTHONS[0])
    if python is None:
        raise SystemExit(f"needs Python {PYTHONS[0]}")
    with tempfile.TemporaryDirectory() as name:
        constraints = Path(name) / "oldest.txt"
        constraints.write_text("\n".join(map(pinned, direct_requirements(BASE_EXTRAS))) + "\n")
        packages = [f"{wheel}[{','.join(BASE_EXTRAS)}]", *TEST_TOOLS]
        tool = environment(python, Path(name), ["--constraint", str(constraints), *packages])
        try_commands(tool, Path(name))
        folders = [
            f"tests/{room}" for room in ROOMS_WITHOUT_TORCH if (ROOT / "tests" / room).is_dir()
        ]
        options = ["-q", "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning"]
        options += ["-m", "not slow and not needs_browser"]
        run([str(tool), "-m", "pytest", *options, *folders], cwd=ROOT)


def pinned(requirement: Requirement) -> str:
    """Return the oldest release series that a requirement allows, as a constraint."""
    lower = next(s.version for s in requirement.specifier if s.operator == ">=")
    return f"{requirement.name}=={lower}.*"


def find_python(version: str) -> str | None:
    """Return the path of a Python that runs, from PATH or pyenv."""
    found = shutil.which(f"python{version}")
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = map(str, sorted(root.glob(f"{version}.*/bin/python"), reverse=True))
    # A name on PATH may be pyenv's shim of a version that is not switched on.
    return next((path for path in (found, *candidates) if path and runs(path)), None)


def runs(python: str) -> bool:
    """Return whether a Python starts."""
    done = subprocess.run([python, "-c", ""], capture_output=True, check=False)
    return done.returncode == 0


def environment(python: str, folder: Path, packages: Sequence[str]) -> Path:
    """Make a virtual environment with packages in it and return its Python."""
    run([python, "-m", "venv", str(folder / "env")])
    tool = folder / "env" / "bin" / "python"
    run([str(tool), "-m", "pip", "install", "--quiet", *packages])
    return tool


def try_commands(python: Path, folder: Path) -> None:
    """Run the commands one after the other in a folder."""
    for command in COMMANDS:
        run([str(python), "-I", "-m", "metaphase", *command.split()], cwd=folder, quiet=True)


def time_first_result(python: Path, folder: Path) -> float:
    """Return the seconds of the first command after the installation."""
    started = time.monotonic()
    run([str(python), "-I", "-m", "metaphase", *FIRST_RESULT.split()], cwd=folder, quiet=True)
    return time.monotonic() - started


def check_size(python: Path) -> None:
    """Print the sizes of the packages in an environment; exit with a message above ``MOST_MB``."""
    done = subprocess.run(
        [str(python), "-I", "-c", SIZES], capture_output=True, text=True, check=True
    )
    sizes = json.loads(done.stdout)
    needed = {name: size for name, size in sizes.items() if name not in TOOLS_OF_PIP}
    print(size_table(needed))
    total = sum(needed.values()) / 1e6
    if total > MOST_MB:
        raise SystemExit(f"the base installation has {total:.0f} MB, more than {MOST_MB}")


SIZES = """
import json
from importlib.metadata import distributions
print(json.dumps({
    d.name.lower(): sum(
        f.locate().stat().st_size for f in d.files or () if f.locate().is_file()
    )
    for d in distributions()
}))
"""
"""Prints the bytes of the files of every installed package, as their RECORD lists them."""


def size_table(sizes: Mapping[str, int], rows: int = 10) -> str:
    """Return the largest packages and the total in MB, as lines."""
    order = sorted(sizes, key=lambda name: -sizes[name])
    lines = [f"{sizes[name] / 1e6:7.1f} MB  {name}" for name in order[:rows]]
    if rest := order[rows:]:
        lines.append(f"{sum(sizes[n] for n in rest) / 1e6:7.1f} MB  {len(rest)} other packages")
    return "\n".join([*lines, f"{sum(sizes.values()) / 1e6:7.1f} MB  in all"])


def run(command: Sequence[str], *, cwd: Path | None = None, quiet: bool = False) -> None:
    """Run a program; end with its output if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=quiet, text=True, check=False)
    if done.returncode:
        output = (done.stdout or "") + (done.stderr or "")
        raise SystemExit(f"failed with {done.returncode}: {' '.join(command)}\n{output}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.installs", description=__doc__)
    parser.add_argument("action", choices=["build", "base", "oldest"])
    parser.add_argument("dist", nargs="?", type=Path, default=ROOT / "dist")
    options = parser.parse_args()
    wheel = build(options.dist)
    if options.action != "build":
        {"base": check_base, "oldest": check_oldest}[options.action](wheel)


if __name__ == "__main__":
    main()
