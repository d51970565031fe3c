from __future__ import annotations

import asyncio
import socket

from metaphase.viewer.serve import listen


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
