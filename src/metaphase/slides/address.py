"""Addresses of slides on servers: ``https://``, ``s3://`` and ``gs://``."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

_URL = re.compile(r"(https?|s3|gs):/{1,2}(?=[^/])(.+)", re.IGNORECASE | re.DOTALL)


def url_of(path: str | Path) -> str | None:
    """Return the address that a path is, None for a path of this computer.

    ``Path`` makes ``https:/host`` of ``https://host``; the address is restored.
    """
    text = path.as_posix() if isinstance(path, Path) else path
    match = _URL.fullmatch(text)
    return f"{match[1].lower()}://{match[2]}" if match else None


def local_name(path: Path) -> Path:
    """Return a path by which to name results: that of an address without host and query."""
    url = url_of(path)
    return path if url is None else Path(unquote(path_of(url)))


def path_of(url: str) -> str:
    """Return the path of an address, without host, query and fragment.

    Also of an address whose host is wrong: opening it reports that.
    """
    rest = re.split(r"[?#]", url.partition("://")[2], maxsplit=1)[0]
    return "/" + rest.partition("/")[2]


def shown(path: str | Path) -> str:
    """Return an address without its query, which may hold a password; other paths unchanged."""
    url = url_of(path)
    return str(path) if url is None else url.partition("?")[0]
