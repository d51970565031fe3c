"""The folder of a learning loop.

``loop.json``       model, images and settings, written by ``start``
``review.sqlite``   the decisions of the readers (``metaphase learn review``)
``detections/``     a folder for each image, by the latest model: what the review page shows
``candidates/``     for each image, the candidates, their windows and features, computed once
``rounds/001/``     one folder for each training: a model file, and ``round.json`` with the scores
``order.json``      the candidates to review next, the most informative first
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from metaphase.errors import InputError, Problem
from metaphase.files import read_text, write_json
from metaphase.models.modelfile import Model, load_model
from metaphase.values import position

LOOP_NAME = "loop.json"
ORDER_NAME = "order.json"
ROUND_NAME = "round.json"
DECISIONS = 50
"""Candidates that are proposed for a review."""
CANDIDATES = 1000
"""Candidates of a slide that take part, those with the highest scores."""

_START = "name a folder that 'metaphase learn start' wrote"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LoopImage(_Frozen):
    """An image of a loop. ``name`` is its folder in the loop, ``path`` is absolute or an address.

    A name that leaves the folder of the loop is refused.
    """

    name: str
    path: Path
    mpp: float | None = Field(default=None, gt=0, le=10_000)
    scanner: str | None = None
    force_mpp: bool = False

    @field_validator("name")
    @classmethod
    def _inside(cls, name: str) -> str:
        if "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
            raise ValueError("is not the name of a folder in the loop")
        return name


class LoopSettings(_Frozen):
    """What ``loop.json`` holds. ``model`` is a folder, or the name of a bundled model."""

    format: int = Field(default=1, ge=1, le=1)
    model: str
    model_id: str
    images: tuple[LoopImage, ...]
    decisions: int = Field(default=DECISIONS, ge=1, le=100_000)
    candidates: int = Field(default=CANDIDATES, ge=10, le=100_000)
    seed: int = Field(default=0, ge=0)


Place = tuple[str, float, float]
"""Name of an image, and a position on it in px."""


@dataclass(frozen=True)
class LoopFolder:
    """The paths of a loop, and its settings."""

    path: Path

    @property
    def settings_file(self) -> Path:
        """The file with the settings."""
        return self.path / LOOP_NAME

    @property
    def store(self) -> Path:
        """The file with the decisions."""
        return self.path / "review.sqlite"

    @property
    def detections(self) -> Path:
        """The folder of the detections by the latest model."""
        return self.path / "detections"

    def candidates(self, name: str) -> Path:
        """The file with the candidates of an image."""
        return self.path / "candidates" / f"{name}.npz"

    def round(self, number: int) -> Path:
        """The folder of a round; the first is number 1."""
        return self.path / "rounds" / f"{number:03d}"

    def rounds(self) -> list[int]:
        """Return the numbers of the finished rounds, in order."""
        files = (self.path / "rounds").glob(f"[0-9]*/{ROUND_NAME}")
        return sorted(int(file.parent.name) for file in files if file.parent.name.isdecimal())

    def settings(self) -> LoopSettings:
        """Read the settings. Raises InputError."""
        path = self.settings_file
        try:
            # Not by pydantic's own parser: names that are not UTF-8 are written as surrogates.
            return LoopSettings.model_validate(json.loads(read_text(path)))
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
            raise InputError.of(path, reason, way_out=_START) from error
        except ValidationError as error:
            raise InputError(
                Problem(str(path), ".".join(map(str, item["loc"])), item["msg"], _START)
                for item in error.errors()
            ) from error
        except (ValueError, RecursionError) as error:
            raise InputError.of(path, f"is not JSON: {error}", way_out=_START) from error

    def base_model(self) -> Model:
        """Open the model that the loop began with. Raises InputError where it has changed."""
        settings = self.settings()
        model = load_model(settings.model)
        if model.id != settings.model_id:
            raise InputError.of(
                settings.model,
                "is not the model that the loop began with",
                way_out=f"restore it, or begin another loop; its id was {settings.model_id[:12]}",
            )
        return model

    def model(self) -> Model:
        """Open the latest model: that of the last round, or the one that the loop began with."""
        rounds = self.rounds()
        return load_model(self.round(rounds[-1]) / "model") if rounds else self.base_model()

    def write_order(self, places: Sequence[Place]) -> None:
        """Write the candidates to review next, the most informative first."""
        rows = [{"image": name, "x_px": x, "y_px": y} for name, x, y in places]
        write_json(self.path / ORDER_NAME, rows)

    def order(self) -> list[Place]:
        """Read the candidates to review next; none where the file is absent or damaged."""
        try:
            rows: list[Mapping[str, Any]] = json.loads(read_text(self.path / ORDER_NAME))
            places = [(str(r["image"]), position(r["x_px"]), position(r["y_px"])) for r in rows]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return []
        return [(name, x, y) for name, x, y in places if x is not None and y is not None]
