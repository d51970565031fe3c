"""Servers whose answers have no end: only the published size of a file is read."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from metaphase.errors import InputError
from metaphase.labels.download import http
from metaphase.labels.download.http import Fetcher
from metaphase.labels.download.records import RemoteFile

SIZE = 1 << 20
CONTENT = b"[" * SIZE


class Endless(BaseHTTPRequestHandler):
    """Sends brackets until the client has gone; gives no length."""

    sent = 0

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(CONTENT)
                Endless.sent += SIZE
        except OSError:
            self.close_connection = True


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    Endless.sent = 0
    yield f"http://127.0.0.1:{server.server_port}/file"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_endless_file_is_read_up_to_its_size(url: str, tmp_path: Path) -> None:
    remote = RemoteFile("a.bin", url, SIZE, hashlib.md5(CONTENT).hexdigest())
    sizes: list[int] = []
    path = Fetcher(tries=1).file(remote, tmp_path, sizes.append)
    assert path.read_bytes() == CONTENT
    assert max(sizes) == SIZE
    assert Endless.sent < 100 * SIZE


def test_an_endless_file_of_another_content_is_no_file(url: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another md5"):
        Fetcher(tries=1).file(RemoteFile("a.bin", url, SIZE, "0" * 32), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_answer_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_ANSWER_BYTES", SIZE)
    with pytest.raises(InputError, match="answer of over 1 MiB"):
        Fetcher(tries=1).json(url)
