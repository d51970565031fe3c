"""The scores on the card of a model, and notes on its graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator


class ExportNote(BaseModel):
    """How the graph of a model was converted (``models/precision.py``)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    precision: Literal["fp32", "fp16", "int8", "packed"]
    source_id: str = Field("", alias="from", description="Id of the model that was converted.")
    calibration_tiles: int | None = None


class Int8Note(BaseModel):
    """How the graph in 8-bit integers was calibrated, and its cost (``studies.int8_graph``)."""

    model_config = ConfigDict(frozen=True, extra="allow")

    calibration_tiles: int
    f1_change: float | None = Field(
        default=None, description="Largest loss (negative) of F1 on a source of left-out fields."
    )
    measured_on: str = ""


class ScoreSummary(BaseModel):
    """Counts and rates of one evaluation, as ``Scores.to_dict`` writes them."""

    model_config = ConfigDict(frozen=True, extra="allow")

    tp: int | None = None
    fp: int | None = None
    fn: int | None = None
    f1: float | None = None
    precision: float | None = None
    recall: float | None = None


class ValidationScores(BaseModel):
    """The scores of the model on its own validation cases."""

    model_config = ConfigDict(frozen=True, extra="allow")

    overall: ScoreSummary = ScoreSummary()
    protocol: str | None = None


class CardScores(RootModel[dict[str, Any]]):
    """The scores on a card: any evaluations by name, and how the graph was converted.

    Entries keep their JSON as it was written, so that the id of the card stays the same.
    """

    model_config = ConfigDict(frozen=True)

    root: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_entries(self) -> CardScores:
        _ = self.validation, self.export, self.int8  # raise where an entry is not what it should be
        return self

    @property
    def entries(self) -> Mapping[str, Any]:
        """All entries by name, as plain JSON values."""
        return self.root

    @property
    def validation(self) -> ValidationScores | None:
        """The scores on the validation cases of the training."""
        entry = self.root.get("validation")
        return ValidationScores.model_validate(entry) if entry else None

    @property
    def export(self) -> ExportNote | None:
        """How the graph was converted, None for a graph as it was trained."""
        entry = self.root.get("export")
        return ExportNote.model_validate(entry) if entry else None

    @property
    def int8(self) -> Int8Note | None:
        """What is known of the model's graph in 8-bit integers, None without one."""
        entry = self.root.get("int8")
        return Int8Note.model_validate(entry) if entry else None

    def with_entries(self, **entries: Any) -> CardScores:
        """Return the scores with some entries replaced or added; None removes one."""
        merged = {**self.root, **entries}
        return CardScores({name: value for name, value in merged.items() if value is not None})
