"""Decisions, export and agreement."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from metaphase.figures import Label
from metaphase.viewer.agreement import agreement
from metaphase.viewer.ledger import Ledger
from metaphase.viewer.opened import Opened
from metaphase.viewer.review import ExportOptions, candidates, export_zip
from metaphase.viewer.room import Room
from metaphase.viewer.store import WHOLE_SLIDE, Decision, State

_Name = Annotated[str, Field(max_length=80)]


class Sent(BaseModel):
    """A decision as the page sends it. An added figure brings its place; others have theirs."""

    model_config = ConfigDict(extra="forbid")

    figure: _Name
    state: State
    label: Label | None = None
    x_px: float | None = Field(default=None, allow_inf_nan=False)
    y_px: float | None = Field(default=None, allow_inf_nan=False)
    request: Annotated[str, Field(min_length=8, max_length=64)] | None = None


def review_routes(room: Room) -> APIRouter:
    """Return the routes of the review."""
    routes = APIRouter(prefix="/api")

    @routes.get("/slides/{slug}/decisions")
    def decisions(slug: str, after: Annotated[int, Query(ge=0)] = 0) -> dict[str, Any]:
        seq, changed, complete = room.changed(room.slide(slug), after)
        return {
            "seq": seq,
            "complete": complete,
            "decisions": [_shown(figure, decision) for figure, decision in changed.items()],
        }

    @routes.post("/slides/{slug}/decisions", status_code=201)
    def decide(slug: str, sent: Sent) -> dict[str, Any]:
        decision = _checked(room, room.slide(slug), sent)
        return {"seq": room.store.add(decision)}

    @routes.get("/export.zip")
    def export(
        reviewer: str | None = None,
        partial: bool = False,
        rejected: Literal["hard-negative", "leave-out"] = "hard-negative",
    ) -> Response:
        if room.blind and reviewer != room.reviewer:
            reviewer = room.reviewer
        as_ = Label.HARD_NEGATIVE if rejected == "hard-negative" else None
        data = export_zip(room.slides, room.store, ExportOptions(reviewer, partial, as_))
        headers = {"Content-Disposition": 'attachment; filename="reviewed.zip"'}
        return Response(data, media_type="application/zip", headers=headers)

    @routes.get("/agreement")
    def agree(first: _Name | None = None, second: _Name | None = None) -> dict[str, Any]:
        if room.blind:
            raise HTTPException(403, "A blind reader does not see the other's work.")
        readers = room.store.reviewers()
        if first is None or second is None:
            return {"reviewers": readers}
        return {"reviewers": readers, **_agreement(room, first, second)}

    return routes


def _shown(figure: str, decision: Decision | None) -> dict[str, Any]:
    if decision is None:
        return {"figure": figure, "state": None}
    told = ("state", "label", "x_px", "y_px", "reviewer", "time")
    return {"figure": figure, **{name: getattr(decision, name) for name in told}}


def _checked(room: Room, opened: Opened, sent: Sent) -> Decision:
    """Return the decision to write, its place and label as known here, or refuse it."""
    base = Decision(opened.key, sent.figure, sent.state, room.reviewer, request=sent.request)
    if sent.figure == WHOLE_SLIDE:
        if sent.state not in (State.COMPLETE, State.UNDONE):
            raise HTTPException(422, "A whole slide can only be complete.")
        return base
    if sent.state == State.COMPLETE:
        raise HTTPException(422, "Only a whole slide can be complete.")
    columns = opened.columns
    row = columns.index.get(sent.figure)
    if row is not None:
        if sent.state == State.ADDED or columns.source[row] != candidates(opened):
            raise HTTPException(422, "This figure is not up for that.")
        x, y = columns.points[row].tolist()
        was, score = columns.label_of(row), float(columns.score[row])
    else:
        x, y, was = _added(room, opened, sent)
        score = None
    label = _label(sent, was)
    return Decision(
        opened.key, sent.figure, sent.state, room.reviewer, label, x, y, score,
        request=sent.request,
    )  # fmt: skip


def _label(sent: Sent, was: Label) -> Label | None:
    if sent.state == State.RELABELLED and sent.label is None:
        return Label.HARD_NEGATIVE if was == Label.MITOTIC else Label.MITOTIC
    if sent.state == State.UNDONE:
        return None
    return sent.label or was


def _added(room: Room, opened: Opened, sent: Sent) -> tuple[float, float, Label]:
    known = room.standing(opened).get(sent.figure)
    if known is not None and known.x_px is not None and known.y_px is not None:
        return known.x_px, known.y_px, known.label or Label.MITOTIC
    if sent.state != State.ADDED or not sent.figure.startswith("a-"):
        raise HTTPException(404, "There is no such figure.")
    pixels = room.pictures.pool.get(opened)
    x, y = sent.x_px, sent.y_px
    if x is None or y is None or not (0 <= x <= pixels.width_px and 0 <= y <= pixels.height_px):
        raise HTTPException(422, "An added figure needs a place on the slide.")
    return round(x, 2), round(y, 2), sent.label or Label.MITOTIC


def _agreement(room: Room, first: str, second: str) -> dict[str, Any]:
    rows = []
    for opened in room.slides:
        ledger = Ledger(opened.key).update(room.store)
        mine, theirs = ledger.all(first), ledger.all(second)
        if mine or theirs:
            rows.append((mine, theirs, room.pictures.pool.get(opened).mpp))
    found = agreement(rows)
    return {**asdict(found), "f1": found.f1}
