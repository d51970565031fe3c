"""The web application: a function of the opened slides and the review store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from metaphase import __version__
from metaphase.counting.validation import Validated
from metaphase.errors import MetaphaseError
from metaphase.viewer.access import LOOPBACK, Gate
from metaphase.viewer.counts import Counter
from metaphase.viewer.opened import Opened
from metaphase.viewer.pagefiles import page_files
from metaphase.viewer.pixelroutes import pixel_routes
from metaphase.viewer.reviewroutes import review_routes
from metaphase.viewer.room import Room
from metaphase.viewer.slideroutes import slide_routes
from metaphase.viewer.store import ReviewStore
from metaphase.viewer.tiles import NoSuchTileError, Pictures


def create_app(
    slides: Sequence[Opened],
    store: ReviewStore,
    *,
    reviewer: str,
    token: str | None,
    blind: bool = False,
    hosts: tuple[str, ...] | None = LOOPBACK,
    workers: int | None = None,
    validated: Validated | None = None,
) -> FastAPI:
    """Return the application that shows ``slides`` and writes to ``store`` as ``reviewer``.

    ``token`` None lets everybody in who reaches the port. ``blind`` keeps the other readers'
    decisions from this one. ``hosts`` are the names under which it may be called (None: any).
    ``validated`` is what is known of the detector, for intervals; by default what the detections
    tell of it.
    Raises PageMissingError where the page's files are not built.
    """
    files = page_files()
    room = Room(slides, store, reviewer, blind, Pictures(workers), Counter(validated))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        room.pictures.close()

    # No generated documentation pages: they would fetch scripts from elsewhere.
    app = FastAPI(
        title="metaphase", version=__version__, lifespan=lifespan,
        docs_url=None, redoc_url=None, openapi_url=None,
    )  # fmt: skip
    app.add_middleware(Gate, token=token, hosts=hosts)
    _page_routes(app, files)
    app.include_router(slide_routes(room))
    app.include_router(pixel_routes(room))
    app.include_router(review_routes(room))
    app.add_exception_handler(MetaphaseError, _told)
    app.add_exception_handler(NoSuchTileError, _not_there)
    return app


def _page_routes(app: FastAPI, files: dict[str, tuple[Path, str]]) -> None:
    @app.get("/")
    def index() -> Response:
        return _file("index.html")

    # A path is looked up among the known names; it never becomes a path on disk.
    @app.get("/page/{name:path}")
    def page(name: str) -> Response:
        return _file(name)

    def _file(name: str) -> Response:
        if name not in files:
            return JSONResponse({"error": "There is no such page."}, 404)
        path, media = files[name]
        return FileResponse(path, media_type=media, headers={"Cache-Control": "no-cache"})


async def _told(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 422)


async def _not_there(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error) or "There is no such tile."}, 404)
