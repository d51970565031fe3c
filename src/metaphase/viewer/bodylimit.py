"""A limit for the bodies of requests: the page sends decisions, never files."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metaphase.viewer.jsonresponse import PageJSON

MAX_BODY_BYTES = 64 * 1024
_MESSAGE = f"A request may have at most {MAX_BODY_BYTES} bytes."


class BodyLimit:
    """Middleware that refuses larger bodies before they are read into memory."""

    def __init__(self, app: ASGIApp, most: int = MAX_BODY_BYTES) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413, or pass the request on with a counted body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self._most:
            answer = PageJSON({"error": _MESSAGE}, 413, headers={"Connection": "close"})
            await answer(scope, receive, send)
            return
        total = 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self._most:
                raise HTTPException(413, _MESSAGE, headers={"Connection": "close"})
            return message

        await self._app(scope, counted, send)
