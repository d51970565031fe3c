"""Routes for decisions, export and agreement."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from metaphase.figures import Label
from metaphase.viewer.agreement import agreement, disagreements
from metaphase.viewer.columns import Source
from metaphase.viewer.earlierfigures import in_force
from metaphase.viewer.export import ExportOptions, export_zip
from metaphase.viewer.reviewedfigures import candidates, undecided
from metaphase.viewer.reviewstate import ReviewState
from metaphase.viewer.session import Session
from metaphase.viewer.slidecatalogue import CatalogueEntry
from metaphase.viewer.slideremarks import NO, YES, is_grid, threshold_value
from metaphase.viewer.store import WHOLE_SLIDE, Decision, Remark, RemarkKind, State

_Name = Annotated[str, Field(max_length=80)]
_Seq = Annotated[int, Query(ge=-1, le=2**53)]


class DecisionBody(BaseModel):
    """A decision in a request. Only an added figure has a position in it."""

    model_config = ConfigDict(extra="forbid")

    figure: _Name
    state: State
    label: Label | None = None
    x_px: float | None = Field(default=None, allow_inf_nan=False)
    y_px: float | None = Field(default=None, allow_inf_nan=False)
    request: Annotated[str, Field(min_length=8, max_length=64)] | None = None


class RemarkBody(BaseModel):
    """A remark in a request. An empty comment or reader removes it."""

    model_config = ConfigDict(extra="forbid")

    kind: RemarkKind
    value: Annotated[str, Field(max_length=2000)]
    figure: _Name = WHOLE_SLIDE
    request: Annotated[str, Field(min_length=8, max_length=64)] | None = None


def review_routes(session: Session) -> APIRouter:
    """Return the routes for decisions, export and agreement."""
    routes = APIRouter(prefix="/api")

    @routes.get("/slides/{slug}/decisions")
    def decisions(slug: str, after: _Seq = 0, remarks_after: _Seq = -1) -> dict[str, Any]:
        entry = session.slide(slug)
        seq, changed, complete = session.changed(entry, after)
        remarks = session.remarks(entry)
        return {
            "remarks_seq": remarks.seq,
            "atypical": None if remarks.seq == remarks_after else session.atypical(entry),
            "comments": None
            if remarks.seq == remarks_after
            else [_comment_json(r) for r in session.comments(entry)],
            "seq": seq,
            "complete": complete,
            "decisions": [_decision_json(figure, decision) for figure, decision in changed.items()],
        }

    @routes.post("/slides/{slug}/decisions", status_code=201)
    def decide(slug: str, body: DecisionBody) -> dict[str, Any]:
        decision = _checked(session, session.slide(slug), body)
        return {"seq": session.store.add(decision)}

    @routes.post("/slides/{slug}/remarks", status_code=201)
    def remark(slug: str, body: RemarkBody) -> dict[str, Any]:
        return {"seq": session.store.add_remark(_checked_remark(session, slug, body))}

    @routes.get("/export.zip")
    def export(
        reviewer: str | None = None,
        partial: bool = False,
        rejected: Literal["hard-negative", "leave-out"] = "hard-negative",
    ) -> Response:
        if session.blind and reviewer != session.reviewer:
            reviewer = session.reviewer
        as_ = Label.HARD_NEGATIVE if rejected == "hard-negative" else None
        data = export_zip(session.slides, session.store, ExportOptions(reviewer, partial, as_))
        headers = {"Content-Disposition": 'attachment; filename="reviewed.zip"'}
        return Response(data, media_type="application/zip", headers=headers)

    @routes.get("/agreement")
    def agree(first: _Name | None = None, second: _Name | None = None) -> dict[str, Any]:
        if session.blind:
            raise HTTPException(403, "A blind reader does not see the decisions of others.")
        readers = session.store.reviewers()
        if first is None or second is None:
            return {"reviewers": readers}
        return {"reviewers": readers, **_agreement(session, first, second)}

    @routes.get("/disagreements")
    def disagree(first: _Name, second: _Name) -> dict[str, Any]:
        if session.blind:
            raise HTTPException(403, "A blind reader does not see the decisions of others.")
        return {"slides": _disagreements(session, first, second)}

    return routes


def _decision_json(figure: str, decision: Decision | None) -> dict[str, Any]:
    if decision is None:
        return {"figure": figure, "state": None}
    names = ("state", "label", "x_px", "y_px", "reviewer", "time")
    return {"figure": figure, **{name: getattr(decision, name) for name in names}}


def _checked(session: Session, entry: CatalogueEntry, body: DecisionBody) -> Decision:
    """Return the decision to store, with position and label from the catalogue, or refuse it."""
    base = Decision(entry.key, body.figure, body.state, session.reviewer, request=body.request)
    if body.state == State.COMPLETE and body.figure == WHOLE_SLIDE:
        _refuse_if_undecided(session, entry)
    if body.figure == WHOLE_SLIDE:
        if body.state not in (State.COMPLETE, State.UNDONE):
            raise HTTPException(
                422, "The only decision about a whole slide is that it is complete."
            )
        return base
    if body.state == State.COMPLETE:
        raise HTTPException(422, "Only a whole slide can be complete.")
    columns = entry.columns
    row = columns.index.get(body.figure)
    if row is not None:
        reference = columns.source[row] != candidates(entry)
        allowed = (State.REJECTED, State.UNDONE)
        if body.state == State.ADDED or (reference and body.state not in allowed):
            raise HTTPException(422, "This figure is not up for review; it can only be rejected.")
        x, y = columns.points[row].tolist()
        was, score = columns.label_of(row), float(columns.score[row])
    else:
        x, y, was = _added_figure(session, entry, body)
        score = None
    label = _label(body, was)
    return Decision(
        entry.key, body.figure, body.state, session.reviewer, label, x, y, score,
        request=body.request,
    )  # fmt: skip


def _refuse_if_undecided(session: Session, entry: CatalogueEntry) -> None:
    """Refuse to complete a slide whose undecided figures would become negatives."""
    if candidates(entry) != Source.DETECTION:
        return
    number = len(undecided(entry, session.standing(entry), session.threshold(entry)))
    if number:
        figures = "1 figure" if number == 1 else f"{number} figures"
        raise HTTPException(
            409,
            f"{figures} above the threshold {'is' if number == 1 else 'are'} undecided. Confirm or"
            " reject them before the slide is marked as complete; otherwise they would be exported"
            " as negatives.",
        )


def _checked_remark(session: Session, slug: str, body: RemarkBody) -> Remark:
    entry = session.slide(slug)
    about_figure = body.kind in (RemarkKind.COMMENT, RemarkKind.ATYPICAL)
    if (body.figure == WHOLE_SLIDE) is about_figure:
        raise HTTPException(
            422, "A comment and 'atypical' are about a figure, other remarks about a slide."
        )
    if body.kind == RemarkKind.ATYPICAL and body.value.strip() not in (YES, NO, ""):
        raise HTTPException(422, "Whether a figure is atypical is 'yes', 'no' or empty.")
    if body.kind == RemarkKind.THRESHOLD and threshold_value(body.value) is None:
        raise HTTPException(422, "A threshold is a number from 0 to 1.")
    if body.kind == RemarkKind.VIEWED and not is_grid(body.value):
        raise HTTPException(422, "Viewed areas are a grid of bits.")
    known = body.figure in entry.columns.index or body.figure in session.standing(entry)
    if about_figure and not known:
        raise HTTPException(404, "There is no such figure.")
    return Remark(
        entry.key, body.figure, body.kind, body.value.strip(), session.reviewer,
        request=body.request,
    )  # fmt: skip


def _comment_json(remark: Remark) -> dict[str, Any]:
    return {
        "figure": remark.figure,
        "text": remark.value,
        "reviewer": remark.reviewer,
        "time": remark.time,
    }


def _label(body: DecisionBody, was: Label) -> Label | None:
    if body.state == State.RELABELLED and body.label is None:
        return Label.HARD_NEGATIVE if was == Label.MITOTIC else Label.MITOTIC
    if body.state == State.UNDONE:
        return None
    return body.label or was


def _added_figure(
    session: Session, entry: CatalogueEntry, body: DecisionBody
) -> tuple[float, float, Label]:
    known = session.standing(entry).get(body.figure)
    if known is not None and known.x_px is not None and known.y_px is not None:
        return known.x_px, known.y_px, known.label or Label.MITOTIC
    if body.state != State.ADDED or not body.figure.startswith("a-"):
        raise HTTPException(404, "There is no such figure.")
    pixels = session.renderer.handles.get(entry)
    x, y = body.x_px, body.y_px
    if x is None or y is None or not (0 <= x <= pixels.width_px and 0 <= y <= pixels.height_px):
        raise HTTPException(422, "An added figure needs a position on the slide.")
    return round(x, 2), round(y, 2), body.label or Label.MITOTIC


def _disagreements(session: Session, first: str, second: str) -> list[dict[str, Any]]:
    found = []
    for entry in session.slides:
        state = ReviewState(entry.key).update(session.store)
        mine, theirs = in_force(entry, state, first), in_force(entry, state, second)
        if mine and theirs:
            mpp = session.renderer.handles.get(entry).mpp
            figures = disagreements(mine, theirs, mpp)
            if figures:
                found.append({"slug": entry.slug, "figures": figures})
    return found


def _agreement(session: Session, first: str, second: str) -> dict[str, Any]:
    rows = []
    for entry in session.slides:
        state = ReviewState(entry.key).update(session.store)
        mine, theirs = in_force(entry, state, first), in_force(entry, state, second)
        if mine or theirs:
            rows.append((mine, theirs, session.renderer.handles.get(entry).mpp))
    result = agreement(rows)
    return {**asdict(result), "f1": result.f1}
