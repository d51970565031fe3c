"""The web application of the review page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException

from metaphase import __version__
from metaphase.counting.validation import ValidationSource
from metaphase.errors import MetaphaseError
from metaphase.learning.loopfolder import LoopFolder
from metaphase.viewer.access import LOOPBACK, AccessControl
from metaphase.viewer.bodylimit import BodyLimit
from metaphase.viewer.counts import SlideCounter
from metaphase.viewer.jsonresponse import PageJSON
from metaphase.viewer.loopslides import loop_slides
from metaphase.viewer.pagefiles import page_files
from metaphase.viewer.retraining import Retraining
from metaphase.viewer.reviewedslides import slide_reviews
from metaphase.viewer.routes.learning import learning_routes
from metaphase.viewer.routes.pixels import pixel_routes
from metaphase.viewer.routes.review import review_routes
from metaphase.viewer.routes.slides import slide_routes
from metaphase.viewer.session import Session
from metaphase.viewer.slidecatalogue import CatalogueEntry
from metaphase.viewer.store import ReviewStore, StoreError
from metaphase.viewer.tiles import NoSuchTileError, TileRenderer


def create_app(
    slides: Sequence[CatalogueEntry],
    store: ReviewStore,
    *,
    reviewer: str,
    token: str | None,
    blind: bool = False,
    hosts: tuple[str, ...] | None = LOOPBACK,
    workers: int | None = None,
    validated: ValidationSource | None = None,
    loop: LoopFolder | None = None,
) -> FastAPI:
    """Return the application that shows ``slides`` and writes to ``store`` as ``reviewer``.

    ``token`` None admits everybody who reaches the port. ``blind`` hides the decisions of other
    readers. ``hosts`` are the accepted values of the Host header (None: any). ``workers``: threads
    that read and encode pixels. ``validated``: precision and recall of the detector, for the
    intervals; by default those in the detections' provenance. ``loop``: the learning loop that the
    slides are of, which the page can then train.
    Raises PageMissingError where the page's files are not built.
    """
    files = page_files()
    session = Session(
        slides, store, reviewer, blind, TileRenderer(workers), SlideCounter(validated)
    )

    retraining = None if loop is None else _retraining(session, loop)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if retraining is not None:
            retraining.close()
        session.renderer.close()

    # No generated documentation pages: they would fetch scripts from elsewhere.
    app = FastAPI(
        title="metaphase", version=__version__, lifespan=lifespan,
        docs_url=None, redoc_url=None, openapi_url=None, default_response_class=PageJSON,
    )  # fmt: skip
    app.add_middleware(BodyLimit)
    app.add_middleware(AccessControl, token=token, hosts=hosts)
    _page_routes(app, files)
    app.include_router(slide_routes(session, learning=loop is not None))
    app.include_router(pixel_routes(session))
    app.include_router(review_routes(session))
    app.include_router(learning_routes(session, retraining))
    app.add_exception_handler(StoreError, _store_error)
    app.add_exception_handler(MetaphaseError, _input_error)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _wrong_request)
    app.add_exception_handler(NoSuchTileError, _no_such_tile)
    return app


def _retraining(session: Session, loop: LoopFolder) -> Retraining:
    """Return what trains the loop with the decisions of the session, and then shows its scores."""
    return Retraining(
        loop,
        lambda: slide_reviews(session.slides, session.store, session.seen_reviewer),
        lambda: session.replace_slides(loop_slides(loop)),
    )


def _page_routes(app: FastAPI, files: dict[str, tuple[Path, str]]) -> None:
    @app.get("/")
    def index() -> Response:
        return _file("index.html")

    # The name is looked up in a fixed table; it never becomes a path on disk.
    @app.get("/page/{name:path}")
    def page(name: str) -> Response:
        return _file(name)

    def _file(name: str) -> Response:
        if name not in files:
            return PageJSON({"error": "There is no such page."}, 404)
        path, media = files[name]
        return FileResponse(path, media_type=media, headers={"Cache-Control": "no-cache"})


async def _input_error(_: Request, error: Exception) -> Response:
    return PageJSON({"error": str(error)}, 422)


async def _store_error(_: Request, error: Exception) -> Response:
    # 503: the page keeps the decision and sends it again.
    return PageJSON({"error": str(error)}, 503)


async def _refused(_: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    return PageJSON(
        {"error": getattr(error, "detail", "")}, status, getattr(error, "headers", None)
    )


async def _wrong_request(_: Request, error: Exception) -> Response:
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    text = "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems[:5])
    return PageJSON({"error": text or "The request is not valid."}, 422)


async def _no_such_tile(_: Request, error: Exception) -> Response:
    return PageJSON({"error": str(error) or "There is no such tile."}, 404)
