"""Routes for tiles and crops."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from metaphase.viewer.session import Session

# The slug changes with the file, so that the content under an address never changes.
_CACHE = {"Cache-Control": "private, max-age=86400, immutable"}
_Index = Annotated[int, Path(ge=0, le=1 << 30)]


def pixel_routes(session: Session) -> APIRouter:
    """Return the routes that serve tiles and crops."""
    routes = APIRouter(prefix="/api/slides/{slug}")

    @routes.get("/tiles/{level}/{column}/{row}")
    async def tile(slug: str, level: _Index, column: _Index, row: _Index) -> Response:
        data = await session.renderer.tile(session.slide(slug), level, column, row)
        return Response(data, media_type="image/jpeg", headers=_CACHE)

    @routes.get("/crop")
    async def crop(
        slug: str,
        x: Annotated[float, Query(ge=-1e9, le=1e9, allow_inf_nan=False)],
        y: Annotated[float, Query(ge=-1e9, le=1e9, allow_inf_nan=False)],
        um: Annotated[float, Query(gt=0, le=1e6)] = 32.0,
        px: Annotated[int, Query(gt=0, le=4096)] = 128,
    ) -> Response:
        data = await session.renderer.crop(session.slide(slug), x, y, um, px)
        return Response(data, media_type="image/jpeg", headers=_CACHE)

    return routes
