"""A web server on loopback that answers requests of ranges, and can misbehave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.webserver import served


@dataclass
class Files:
    """What the server holds. ``status`` replaces the answers, ``cut`` halves the next bodies.

    ``sent`` are the numbers of bytes of all bodies.
    """

    files: dict[str, bytes]
    ranges: bool = True
    status: list[int] = field(default_factory=list)
    cut: int = 0
    sent: list[int] = field(default_factory=list)
    url: str = ""


@contextmanager
def serve(site: Files) -> Iterator[Files]:
    """Run a server on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            name = self.path.partition("?")[0].lstrip("/")
            if site.status:
                self.answer(site.status.pop(0), b"")
            elif name not in site.files:
                self.answer(404, b"")
            else:
                self.send(site.files[name])

        def send(self, data: bytes) -> None:
            asked = self.headers.get("Range")
            if not asked or not site.ranges:
                self.answer(200, data)
                return
            first, last = map(int, asked.removeprefix("bytes=").split("-"))
            last = min(last, len(data) - 1)
            about = {"Content-Range": f"bytes {first}-{last}/{len(data)}", "ETag": '"one"'}
            self.answer(206, data[first : last + 1], about)

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if site.cut and len(body) > 1:
                site.cut -= 1
                body = body[: len(body) // 2]
                self.close_connection = True
            site.sent.append(len(body))
            self.wfile.write(body)

    with served(Handler) as site.url:
        yield site
