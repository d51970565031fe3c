"""Routes for slides, figures, counts, hotspot and density."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from metaphase import __version__
from metaphase.figures import LABELS
from metaphase.provenance import ATYPICAL_THRESHOLD
from metaphase.viewer.columns import Source
from metaphase.viewer.comparison import is_frozen, references
from metaphase.viewer.counts import CountRequest, count_as_json
from metaphase.viewer.jsonresponse import PageJSON
from metaphase.viewer.reference import Reference
from metaphase.viewer.reviewedfigures import (
    BORDERLINE,
    candidates,
    counted,
    default_threshold,
    undecided,
)
from metaphase.viewer.reviewstate import counts
from metaphase.viewer.session import Session
from metaphase.viewer.slidecatalogue import CatalogueEntry
from metaphase.viewer.tiles import TILE_PX, levels

Threshold = Annotated[float, Query(ge=0, le=1)]


def slide_routes(session: Session, *, learning: bool = False) -> APIRouter:
    """Return the routes for slides, figures and counts. ``learning``: the slides are of a loop."""
    routes = APIRouter(prefix="/api")
    searching = asyncio.Lock()

    @routes.get("/session")
    def session_info() -> dict[str, Any]:
        return {
            "version": __version__,
            "reviewer": session.reviewer,
            "blind": session.blind,
            "labels": [str(label) for label in LABELS],
            "borderline": BORDERLINE,
            "learning": learning,
        }

    @routes.get("/slides")
    def slides() -> list[dict[str, Any]]:
        return [_summary(session, entry) for entry in session.slides]

    @routes.get("/slides/{slug}")
    def slide(slug: str) -> dict[str, Any]:
        entry = session.slide(slug)
        pixels = session.renderer.handles.get(entry)
        return {
            **_summary(session, entry),
            "width_px": pixels.width_px,
            "height_px": pixels.height_px,
            "mpp": pixels.mpp,
            "mpp_source": pixels.mpp_source,
            "notes": list(pixels.notes),
            "tile_px": TILE_PX,
            "levels": levels(pixels),
            "candidates": int(candidates(entry)),
            "references": [_reference_json(one) for one in references(entry)],
            "not_compared": entry.not_compared,
            "viewed": session.remarks(entry).viewed(session.reviewer),
            "atypical_threshold": _atypical_threshold(entry),
        }

    @routes.get("/slides/{slug}/figures")
    def figures(slug: str) -> Response:
        data = session.slide(slug).columns.to_bytes()
        return Response(data, media_type="application/octet-stream")

    @routes.get("/slides/{slug}/hotspot")
    async def hotspot(
        request: Request,
        slug: str,
        threshold: Threshold,
        shape: str = "square",
        area_mm2: Annotated[float | None, Query(ge=0.001, le=1000)] = None,
        field_mm: Annotated[float | None, Query(ge=0.4, lt=0.695)] = None,
    ) -> Response:
        entry = session.slide(slug)
        # One search at a time; abandoned requests are skipped, so that a moving slider does not
        # queue up searches.
        async with searching:
            if await request.is_disconnected():
                return Response(status_code=204)
            count_request = CountRequest(threshold, shape, area_mm2, field_mm)
            result = await run_in_threadpool(_hotspot, session, entry, count_request)
        return PageJSON(result)

    @routes.get("/slides/{slug}/comparison")
    def comparison(
        slug: str, threshold: Threshold, reference: Literal["labels", "second"]
    ) -> dict[str, Any]:
        entry = session.slide(slug)
        for one in references(entry):
            if one.key == reference:
                return session.compared(entry, one, threshold).to_json()
        raise HTTPException(404, "This slide has nothing of that kind to be compared with.")

    @routes.get("/slides/{slug}/density")
    def density(slug: str, threshold: Threshold) -> dict[str, Any]:
        return _density(session, session.slide(slug), threshold)

    return routes


def _summary(session: Session, entry: CatalogueEntry) -> dict[str, Any]:
    standing = session.standing(entry)
    reviewed = candidates(entry)
    up_for_review = entry.columns.source == reviewed
    _, _, complete = session.changed(entry, 0)
    threshold = session.threshold(entry)
    return {
        "slug": entry.slug,
        "name": entry.key,
        "file": entry.file_name,
        "figures": int(up_for_review.sum()),
        "labels": int((entry.columns.source == Source.LABEL).sum()),
        "threshold": threshold,
        "default_threshold": default_threshold(entry),
        "model": entry.model,
        "warnings": list(entry.provenance.warnings) if entry.provenance else [],
        "assigned": session.remarks(entry).assigned(),
        "count": len(counted(entry, standing.values(), threshold).points),
        "to_review": len(undecided(entry, standing, threshold, BORDERLINE)),
        "decided": len(standing),
        "states": counts(standing),
        "complete": complete,
        "differences": _differences(session, entry),
    }


def _reference_json(reference: Reference) -> dict[str, Any]:
    names = ("key", "name", "against", "threshold")
    return {"source": int(reference.source), **{name: getattr(reference, name) for name in names}}


def _differences(session: Session, entry: CatalogueEntry) -> int | None:
    """Return on how many figures two models differ; None where they are not compared."""
    second = entry.second
    if second is None or not is_frozen(entry, second) or not second.mpp:
        return None
    return session.compared(entry, second, entry.threshold).differences


def _atypical_threshold(entry: CatalogueEntry) -> float:
    """Return the probability from which a figure of the slide is called atypical."""
    known = entry.provenance.parameters.atypical if entry.provenance else None
    return ATYPICAL_THRESHOLD if known is None else known.threshold


def _hotspot(session: Session, entry: CatalogueEntry, request: CountRequest) -> dict[str, Any]:
    start = time.perf_counter()
    pixels = session.renderer.handles.get(entry)
    _, _, complete = session.changed(entry, 0)
    standing = session.standing(entry).values()
    atypical = session.atypical(entry)
    result = session.counter.count(
        entry, pixels, standing, request, complete=complete, atypical=atypical
    )
    return {**count_as_json(result), "seconds": round(time.perf_counter() - start, 4)}


def _density(session: Session, entry: CatalogueEntry, threshold: float) -> dict[str, Any]:
    from metaphase.counting.density import density_map

    pixels = session.renderer.handles.get(entry)
    points = counted(entry, session.standing(entry).values(), threshold).points
    grid = density_map(points, (pixels.width_px, pixels.height_px), pixels.mpp)
    return {
        "cell_px": grid.cell_px,
        "most": round(float(grid.per_mm2.max(initial=0)), 3),
        "per_mm2": grid.per_mm2.round(3).tolist(),
    }
