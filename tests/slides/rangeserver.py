"""A web server on loopback that answers requests of ranges, and can misbehave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.webserver import served


@dataclass
class Files:
    """What the server holds. ``status`` replaces the answers, ``cut`` halves the next bodies.

    ``total`` is the size that it states instead of the right one. ``wrong``: "shifted" ranges, or
    "endless" bodies. ``sent`` are the numbers of bytes of all bodies.
    """

    files: dict[str, bytes]
    ranges: bool = True
    status: list[int] = field(default_factory=list)
    cut: int = 0
    sent: list[int] = field(default_factory=list)
    url: str = ""
    total: str | None = None
    wrong: str = ""


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
            total = str(len(data)) if site.total is None else site.total
            if site.wrong == "shifted":
                first, last = first + 1, last + 1
            place = f"bytes {first}-{last}/{total}".encode().decode("latin-1")
            about = {"Content-Range": place, "ETag": '"one"'}
            if site.wrong == "endless":
                self.endless(about)
            else:
                self.answer(206, data[first : last + 1], about)

        def endless(self, headers: dict[str, str]) -> None:
            self.send_response(206)
            for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.close_connection = True
            part = b"%x\r\n%b\r\n" % (1 << 16, b"x" * (1 << 16))
            with suppress(OSError):  # the reader has enough
                while sum(site.sent) < 200 << 20:
                    self.wfile.write(part)
                    site.sent.append(1 << 16)

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
