"""Serve the review page, for ``metaphase view`` and ``metaphase learn review``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from metaphase.learning.loopfolder import LoopFolder
    from metaphase.viewer.slidecatalogue import CatalogueEntry
    from metaphase.viewer.store import ReviewStore


@dataclass(frozen=True, slots=True)
class Serving:
    """Where the page is served. ``more_hosts``: names under which a proxy serves it."""

    host: str
    more_hosts: tuple[str, ...]
    port: int
    token: bool
    browser: bool


def serve_page(
    slides: Sequence[CatalogueEntry],
    store: ReviewStore,
    serving: Serving,
    *,
    reviewer: str,
    blind: bool = False,
    validation: str | None = None,
    loop: LoopFolder | None = None,
) -> None:
    """Serve the page until interrupted. Raises InputError."""
    import webbrowser

    from metaphase.counting.validation import read_validation
    from metaphase.errors import InputError
    from metaphase.viewer.access import LOOPBACK, new_token
    from metaphase.viewer.app import create_app
    from metaphase.viewer.serve import address, allowed_hosts, listen, serve

    if not serving.token and serving.host not in LOOPBACK:
        raise InputError.of(
            "--no-token", f"would show the slides to everybody who reaches {serving.host}",
            way_out="leave it out, or stay on 127.0.0.1",
        )  # fmt: skip
    secret = new_token() if serving.token else None
    app = create_app(
        slides, store, reviewer=reviewer, token=secret, blind=blind,
        hosts=allowed_hosts(serving.host, serving.more_hosts),
        validated=read_validation(validation) if validation else None,
        loop=loop,
    )  # fmt: skip
    listener = listen(serving.host, serving.port)
    url = address(serving.host, listener.getsockname()[1], secret)

    def ready() -> None:
        typer.echo(f"{len(slides)} slides, decisions in {store.path}", err=True)
        typer.echo(url)
        if serving.browser:
            webbrowser.open(url)

    serve(app, listener, ready)
