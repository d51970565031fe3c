from __future__ import annotations

import asyncio
import socket
import threading
import time

import pytest

from metaphase.viewer import serve as serving
from metaphase.viewer.serve import allowed_hosts, listen, serve


def test_small_answers_do_not_wait_for_an_acknowledgement():
    """Nagle's algorithm is off on what the server accepts."""

    async def accepted() -> int:
        seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def one(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            seen.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        where = listen("127.0.0.1", 0)
        server = await asyncio.start_server(one, sock=where)
        _, writer = await asyncio.open_connection(*where.getsockname())
        result = await asyncio.wait_for(seen, 30)
        writer.close()
        server.close()
        return result

    assert asyncio.run(accepted())


def test_names_of_a_proxy_are_accepted():
    assert "hub.example" in (allowed_hosts("127.0.0.1", ["Hub.example:443"]) or ())
    assert allowed_hosts("0.0.0.0", ["x"]) is None


@pytest.fixture
def port(monkeypatch):
    """A server that gives every part of a request 0.2 s."""
    monkeypatch.setattr(serving, "REQUEST_SECONDS", 0.2)

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        while (await receive()).get("more_body"):
            pass
        if scope["path"] == "/slow":
            await asyncio.sleep(1.2)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"answer"})

    where = listen("127.0.0.1", 0)
    started, stop = threading.Event(), []
    thread = threading.Thread(target=serve, args=(app, where, started.set, stop.append))
    thread.start()
    assert started.wait(30)
    yield where.getsockname()[1]
    stop[0]()
    thread.join(30)
    where.close()


HALVES = [
    b"",
    b"GET / HTTP/1.1\r\nHost: x\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
]


@pytest.mark.parametrize("half", HALVES)
def test_a_connection_without_a_whole_request_is_closed(port, half):
    with socket.create_connection(("127.0.0.1", port), 30) as one:
        one.sendall(half)
        began = time.monotonic()
        assert b"answer" not in one.recv(1000)  # returns when the server closes
        assert time.monotonic() - began < 20


def test_a_slow_answer_is_waited_for(port):
    with socket.create_connection(("127.0.0.1", port), 30) as one:
        one.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b""
        while part := one.recv(1000):
            received += part
        assert b"answer" in received
