"""The web server of the review page."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from fastapi import FastAPI

from metaphase.errors import InputError
from metaphase.viewer.access import LOOPBACK


def address(host: str, port: int, token: str | None) -> str:
    """Return the address to open."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")


def allowed_hosts(host: str) -> tuple[str, ...] | None:
    """Return the accepted host names; None (any) if the page listens on all addresses."""
    if host in ("0.0.0.0", "::", ""):
        return None
    return (*LOOPBACK, host.lower(), f"[{host.lower()}]")


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises InputError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only for sockets with an explicit protocol. Otherwise
    # every small answer waits 40 ms for a delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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

    ``stopper`` receives a function that stops the server, for use by another thread.
    """
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if ready is not None:
                ready()

    # No access log: it would hold the token.
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    server = Server(config)
    if stopper is not None:
        stopper(lambda: setattr(server, "should_exit", True))
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after its shutdown
        server.run(sockets=[where])
