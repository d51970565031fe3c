"""Slides, their figures, counts, hotspot and density."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from metaphase import __version__
from metaphase.figures import LABELS
from metaphase.viewer.columns import Source
from metaphase.viewer.counts import Asked, to_page
from metaphase.viewer.ledger import counts
from metaphase.viewer.opened import Opened
from metaphase.viewer.review import candidates, counted
from metaphase.viewer.room import Room
from metaphase.viewer.tiles import TILE_PX, levels

Threshold = Annotated[float, Query(ge=0, le=1)]


def slide_routes(room: Room) -> APIRouter:
    """Return the routes under ``/api`` that tell of slides."""
    routes = APIRouter(prefix="/api")
    searching = asyncio.Lock()

    @routes.get("/session")
    def session() -> dict[str, Any]:
        return {
            "version": __version__,
            "reviewer": room.reviewer,
            "blind": room.blind,
            "labels": [str(label) for label in LABELS],
        }

    @routes.get("/slides")
    def slides() -> list[dict[str, Any]]:
        return [_summary(room, opened) for opened in room.slides]

    @routes.get("/slides/{slug}")
    def slide(slug: str) -> dict[str, Any]:
        opened = room.slide(slug)
        pixels = room.pictures.pool.get(opened)
        return {
            **_summary(room, opened),
            "width_px": pixels.width_px,
            "height_px": pixels.height_px,
            "mpp": pixels.mpp,
            "mpp_source": pixels.mpp_source,
            "notes": list(pixels.notes),
            "tile_px": TILE_PX,
            "levels": levels(pixels),
            "candidates": int(candidates(opened)),
        }

    @routes.get("/slides/{slug}/figures")
    def figures(slug: str) -> Response:
        data = room.slide(slug).columns.to_bytes()
        return Response(data, media_type="application/octet-stream")

    @routes.get("/slides/{slug}/hotspot")
    async def hotspot(
        request: Request,
        slug: str,
        threshold: Threshold,
        shape: str = "square",
        area_mm2: Annotated[float | None, Query(gt=0, le=1000)] = None,
        field_mm: Annotated[float | None, Query(ge=0.4, lt=0.695)] = None,
    ) -> Response:
        opened = room.slide(slug)
        # One at a time, so that a moving slider cannot pile up searches: those that nobody waits
        # for any more are passed over.
        async with searching:
            if await request.is_disconnected():
                return Response(status_code=204)
            asked = Asked(threshold, shape, area_mm2, field_mm)
            found = await run_in_threadpool(_hotspot, room, opened, asked)
        return JSONResponse(found)

    @routes.get("/slides/{slug}/density")
    def density(slug: str, threshold: Threshold) -> dict[str, Any]:
        return _density(room, room.slide(slug), threshold)

    return routes


def _summary(room: Room, opened: Opened) -> dict[str, Any]:
    standing = room.standing(opened)
    mine = candidates(opened)
    offered = opened.columns.source == mine
    _, _, complete = room.changed(opened, 0)
    return {
        "slug": opened.slug,
        "name": opened.key,
        "file": opened.path.name,
        "figures": int(offered.sum()),
        "labels": int((opened.columns.source == Source.LABEL).sum()),
        "threshold": opened.threshold if mine == Source.DETECTION else 0.0,
        "model": opened.model,
        "count": len(counted(opened, standing.values(), opened.threshold).points),
        "decided": len(standing),
        "states": counts(standing),
        "complete": complete,
    }


def _hotspot(room: Room, opened: Opened, asked: Asked) -> dict[str, Any]:
    start = time.perf_counter()
    pixels = room.pictures.pool.get(opened)
    _, _, complete = room.changed(opened, 0)
    standing = room.standing(opened).values()
    found = room.counter.count(opened, pixels, standing, asked, complete=complete)
    return {**to_page(found), "seconds": round(time.perf_counter() - start, 4)}


def _density(room: Room, opened: Opened, threshold: float) -> dict[str, Any]:
    from metaphase.counting.density import density_map

    pixels = room.pictures.pool.get(opened)
    points = counted(opened, room.standing(opened).values(), threshold).points
    grid = density_map(points, (pixels.width_px, pixels.height_px), pixels.mpp)
    return {
        "cell_px": grid.cell_px,
        "most": round(float(grid.per_mm2.max(initial=0)), 3),
        "per_mm2": grid.per_mm2.round(3).tolist(),
    }
