"""Routes of a learning loop: the proposed candidates, retraining and its progress."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict

from metaphase.viewer.loopslides import proposed_figures
from metaphase.viewer.retraining import Retraining
from metaphase.viewer.session import Session


class TrainBody(BaseModel):
    """A request to retrain."""

    model_config = ConfigDict(extra="forbid")

    depth: Literal["head", "last", "all"] = "head"


def learning_routes(session: Session, retraining: Retraining | None) -> APIRouter:
    """Return the routes. Without a loop there is nothing to train, and they answer 404."""
    routes = APIRouter(prefix="/api/learning")

    def running() -> Retraining:
        if retraining is None:
            raise HTTPException(404, "These slides are not part of a learning loop.")
        return retraining

    @routes.get("")
    def state() -> dict[str, Any]:
        return running().to_json()

    @routes.get("/proposed")
    def proposed() -> dict[str, Any]:
        by_key = proposed_figures(running().loop, session.slides)
        slugs = {entry.key: entry.slug for entry in session.slides}
        return {"slides": [{"slug": slugs[k], "figures": ids} for k, ids in by_key.items()]}

    @routes.post("/train", status_code=202)
    def train(body: TrainBody) -> dict[str, Any]:
        if not running().start(body.depth):
            raise HTTPException(409, "A training is running already.")
        return running().to_json()

    @routes.post("/cancel", status_code=202)
    def cancel() -> dict[str, Any]:
        running().cancel()
        return running().to_json()

    return routes
