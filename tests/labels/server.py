"""A record's site on loopback that can break connections, lie and refuse ranges."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.webserver import served


@dataclass
class Site:
    """What the site holds, and how it misbehaves.

    ``breaks``: bytes after which each of the next answers to a file breaks. ``fails``: statuses of
    the next answers. ``seen``: path and range of every request.
    """

    files: dict[str, bytes]
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    fails: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    md5: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    url: str = ""

    def md5_of(self, name: str) -> str:
        return self.md5.get(name) or hashlib.md5(self.files[name]).hexdigest()

    def answer(self, path: str) -> Any:
        """Return the JSON of an API address, or None."""
        names = list(self.files)
        if path == "/records/4643381":
            return {
                "files": [
                    {
                        "key": name,
                        "size": len(self.files[name]),
                        "checksum": f"md5:{self.md5_of(name)}",
                        "links": {"self": f"{self.url}/get/{name}"},
                    }
                    for name in names
                ]
            }
        if path.startswith("/collections/6615571/articles?"):
            return [{"id": i, "title": self.titles.get(n, n)} for i, n in enumerate(names)]
        if path.startswith("/articles/"):
            name = names[int(path.split("/")[2])]
            return [
                {
                    "name": name,
                    "size": len(self.files[name]),
                    "computed_md5": self.md5_of(name),
                    "supplied_md5": "",
                    "is_link_only": False,
                    "download_url": f"{self.url}/get/{name}",
                }
            ]
        return None

    def ranges_seen(self) -> list[str | None]:
        return [asked for path, asked in self.seen if path.startswith("/get/")]


@contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Run a site on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            site.seen.append((self.path, self.headers.get("Range")))
            if site.fails:
                status, headers = site.fails.pop(0)
                self.send(status, b"", headers)
            elif self.path.startswith("/get/"):
                self.send_file(site.files[self.path.removeprefix("/get/")])
            else:
                answer = site.answer(self.path)
                status = 404 if answer is None else 200
                self.send(status, json.dumps(answer).encode(), {})

        def send_file(self, data: bytes) -> None:
            asked = self.headers.get("Range")
            if not asked or not site.ranges:
                self.send(200, data, {})
                return
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                self.send(416, b"", {})
                return
            told = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self.send(206, data[start:], {"Content-Range": told})

        def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if status in (200, 206) and self.path.startswith("/get/") and site.breaks:
                body = body[: site.breaks.pop(0)]
                self.close_connection = True
            self.wfile.write(body)

    with served(Handler) as site.url:
        yield site
