"""Access control of the page: a token in the first address, then a cookie; known hosts only."""

from __future__ import annotations

import hashlib
import secrets
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def new_token() -> str:
    """Return a random token of 256 bits."""
    return secrets.token_urlsafe(32)


def cookie_name(token: str) -> str:
    """Return the cookie name of a token: browsers share cookies between ports."""
    return f"metaphase-{hashlib.sha256(token.encode()).hexdigest()[:12]}"


class AccessControl:
    """Middleware that checks host, origin and token, and adds the security headers.

    ``token`` None admits everybody. ``hosts`` are the accepted values of the Host header; None
    accepts any. The check protects against DNS rebinding.
    """

    def __init__(self, app: ASGIApp, token: str | None, hosts: tuple[str, ...] | None) -> None:
        self._app, self._token, self._hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it to the application."""
        if scope["type"] != "http":  # the page has no websockets
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        answer = self._answer(scope)
        await (answer or self._app)(scope, receive, _with_headers(send))

    def _answer(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = _host(headers.get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            return PlainTextResponse("This page is not served under that name.", 421)
        if _is_foreign(headers):
            return PlainTextResponse("Requests from other pages are refused.", 403)
        if self._token is None:
            return None
        return self._check(scope, headers, self._token)

    def _check(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        name = cookie_name(token)
        cookie = cookie_parser(headers.get("cookie", "")).get(name, "")
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if _same(cookie, token) or _same(bearer, token):
            return None
        query_token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and scope["method"] == "GET" and _same(query_token, token):
            # The redirect removes the token from the address bar, history and screenshots.
            # Relative, and a cookie without a path: the page may be behind a path prefix.
            answer = RedirectResponse("./", 303)
            answer.set_cookie(name, token, httponly=True, samesite="strict", path=None)
            return answer
        return PlainTextResponse(
            "The address lacks its token. Open the whole address that 'metaphase view' printed.",
            401,
        )


def _is_foreign(headers: Headers) -> bool:
    """Return whether another page sent the request.

    Behind a proxy the Host header may differ from the page's origin, so the browser's own
    statement counts where there is one; scripts cannot change it.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.split("://")[-1] != headers.get("host")


def _same(value: str, token: str) -> bool:
    return secrets.compare_digest(value.encode(), token.encode())


def _host(value: str) -> str:
    if value.startswith("["):
        return value.partition("]")[0] + "]"
    return value.partition(":")[0].lower()


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            more = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return sending
