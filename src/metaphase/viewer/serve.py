"""The web server of the review page."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from fastapi import FastAPI

from metaphase.errors import InputError
from metaphase.viewer.access import LOOPBACK

MAX_CONNECTIONS = 512
REQUEST_SECONDS = 15.0
"""Time for the next part of a request; a connection ends after at most twice as long."""


def address(host: str, port: int, token: str | None) -> str:
    """Return the address to open."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")


def allowed_hosts(host: str, more: Iterable[str] = ()) -> tuple[str, ...] | None:
    """Return the accepted host names; None (any) if the page listens on all addresses.

    ``more`` are names under which a proxy serves the page.
    """
    if host in ("0.0.0.0", "::", ""):
        return None
    names = [name.lower().partition(":")[0] for name in more]
    return (*LOOPBACK, host.lower(), f"[{host.lower()}]", *names)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises InputError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only for sockets with an explicit protocol. Otherwise
    # every small answer waits 40 ms for a delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # accepted ones inherit it
        listener.bind((host, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise InputError.of(
            f"{host}:{port}",
            f"cannot listen there: {error.strerror or error}",
            way_out="choose another --port, or 0 for a free one",
        ) from error
    return listener


def serve(
    app: FastAPI,
    where: socket.socket,
    ready: Callable[[], None] | None = None,
    stopper: Callable[[Callable[[], None]], None] | None = None,
) -> None:
    """Serve until interrupted; ``ready`` is called as soon as requests are answered.

    Connections that do not complete a request in time are closed. ``stopper`` receives a function
    that stops the server, for use by another thread.
    """
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if ready is not None:
                ready()

    # No access log: it would hold the token.
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        http=_timed_protocol(),
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
    server = Server(config)
    if stopper is not None:
        stopper(lambda: setattr(server, "should_exit", True))
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after its shutdown
        server.run(sockets=[where])


def _timed_protocol() -> Any:
    import h11
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class TimedProtocol(H11Protocol):
        """HTTP/1.1 that closes connections on which a request does not get complete."""

        _timer: asyncio.TimerHandle | None = None
        _last: tuple[int, int] | None = None
        _answers = 0
        _received = 0

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._timer = self.loop.call_later(REQUEST_SECONDS, self._check)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            self._received += len(data)
            super().data_received(data)

        def on_response_complete(self) -> None:
            self._answers += 1
            super().on_response_complete()

        def _check(self) -> None:
            waits = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
            waits = waits and self.timeout_keep_alive_task is None
            now = (self._answers, self._received)
            if waits and self._is_stuck(now):
                self.transport.close()
                return
            self._last = now if waits else None
            self._timer = self.loop.call_later(REQUEST_SECONDS, self._check)

        def _is_stuck(self, now: tuple[int, int]) -> bool:
            # No answer since the last check, and less than 1 kB/s of a body.
            if self._last is None or self._last[0] != now[0]:
                return False
            return now[1] - self._last[1] < 1024 * REQUEST_SECONDS

    return TimedProtocol
