"""The card of a model file, and what a network promises about its input and its output maps.

A network takes uint8 RGB tiles [n, height, width, 3] at ``mpp``. It normalises them itself, so that
every runtime is fed the same bytes. It returns two maps per level, in the order of ``levels``:

- logits [n, anchors * classes, h, w], channel ``a * classes + c``;
- geometry [n, anchors * 4 or 2, h, w]. For ``kind = "centre"`` (anchors = 1): the offset dx, dy
  from the centre of the cell, in units of the stride. For ``kind = "anchors"``: dx, dy, dw, dh of
  R-CNN (Ren et al. 2015, with weights 1) relative to the anchor, channel ``a * 4 + k``.

"window" has no geometry: one map per level, the logits [n, classes, h, w] of the centre of each
cell.

The cell in row i, column j of a level with stride s has its centre at ((j + 0.5) s, (i + 0.5) s)
for "centre" and at (j s, i s) for "anchors" (torchvision's convention), in tile pixels.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from metaphase.figures import Label
from metaphase.models.cardbase import Level, Strict
from metaphase.models.cardscores import CardScores
from metaphase.models.foreign import ForeignGraph
from metaphase.provenance import LeftOutScores, ValidationCounts


class HeadSpec(Strict):
    """How output maps become points. Those of a "foreign" graph: see ``ModelCard.foreign``."""

    kind: Literal["centre", "anchors", "window", "foreign"]
    levels: tuple[Level, ...] = Field(default=(), max_length=16)
    classes: tuple[Label, ...] = Field(default=(Label.MITOTIC,), min_length=1, max_length=16)

    @model_validator(mode="after")
    def _check_levels(self) -> HeadSpec:
        if not self.levels and self.kind != "foreign":
            raise ValueError("levels: a head needs at least one")
        return self


class InputSpec(Strict):
    """The tiles that a network takes."""

    mpp: float = Field(gt=0, le=100, description="Resolution the network was trained at, um/px.")
    tile_px: int = Field(512, gt=0, le=16384, description="Side of a tile.")
    margin_px: int = Field(
        32,
        ge=0,
        description="Rim of a tile, inside the image, whose detections the neighbours give.",
    )
    multiple_px: int = Field(
        32, gt=0, le=16384, description="The side of a tile is a multiple of this."
    )

    @model_validator(mode="after")
    def _check_margin(self) -> InputSpec:
        if 2 * self.margin_px >= self.tile_px:
            raise ValueError(
                f"a margin of {self.margin_px} px leaves nothing of a tile of {self.tile_px} px"
            )
        return self


class Threshold(Strict):
    """The frozen operating point and how it was chosen."""

    value: float = Field(ge=0, le=1)
    chosen_on: str = Field(description="Data set and split that chose it.")
    protocol: str = Field(description="How: grid, matcher, radius, and the score that was best.")
    f1: float | None = Field(
        default=None, description="F1 at the threshold on the data that chose it."
    )


SECOND_STAGE_FLOOR = 0.15
"""Far below every threshold: a candidate with so low a score after one window stays below it."""


class StainReference(Strict):
    """The stains that images are normalised to before a network is run (``stain/macenko.py``)."""

    vectors: tuple[tuple[float, float, float], tuple[float, float, float]] = Field(
        description="Optical density of haematoxylin and of eosin in R, G, B, of length 1."
    )
    amounts: tuple[float, float] = Field(
        description="99th percentiles of their concentration (Macenko et al. 2009)."
    )


class ScoreNormalisation(Strict):
    """How the scores of an image are normalised (``detection/scorenormalisation.py``)."""

    per_mm2: float = Field(
        100.0,
        gt=0,
        le=1e6,
        description="Candidates for each mm2 whose scores exceed the image's level.",
    )
    weight: float = Field(1.0, ge=0, le=1, description="Part of the difference that is removed.")
    reference: float = Field(
        -5.5, ge=-100, le=100, description="Level (logit) of an image whose scores stay."
    )
    most: float = Field(3.0, ge=0, le=100, description="Largest change of a logit.")
    usual: float = Field(
        -6.5, ge=-100, le=100, description="Level of an image that is too small to measure it."
    )


class SecondStage(Strict):
    """How a second network scores the candidates of the detector again.

    Its model file is the folder ``second`` of the model file. The score of a candidate becomes
    ``first ** (1 - weight) * second ** weight``.
    """

    id: str = Field(description="Id of the second network's model file.")
    min_score: float = Field(
        0.1, ge=0, le=1, description="Candidates with a lower score of the detector are left out."
    )
    weight: float = Field(0.5, ge=0, le=1, description="Weight of the second score.")
    symmetries: Literal[1, 2, 4, 8] = Field(
        4, description="Mirrored and turned windows whose logits are averaged."
    )
    floor: float = Field(
        default=SECOND_STAGE_FLOOR,
        ge=0,
        le=1,
        description="A candidate whose score after one window is lower gets no further windows. "
        "The score is normalised for this where the model normalises scores.",
    )
    stain: StainReference | None = Field(
        default=None, description="The stains to which windows are normalised."
    )
    score_normalisation: ScoreNormalisation | None = Field(
        default=None, description="How the scores of an image are normalised."
    )


class AtypicalScores(Strict):
    """How the network did on mitotic figures of cases that it was not trained on."""

    balanced_accuracy: float = Field(
        ge=0, le=1, description="Mean of sensitivity and specificity at the threshold."
    )
    auroc: float | None = Field(default=None, ge=0, le=1)
    sensitivity: float = Field(ge=0, le=1, description="Share of atypical figures that were found.")
    specificity: float = Field(ge=0, le=1, description="Share of the others that were not.")
    figures: int = Field(ge=0)
    atypical: int = Field(ge=0, description="Figures that the readers called atypical.")
    cases: int = Field(ge=0)
    protocol: str = Field(default="", description="Which cases were left out, and how.")
    scanners: dict[str, dict[str, float | int | None]] = Field(
        default_factory=dict, description="The same numbers by scanner, the worst one first."
    )


class Atypical(Strict):
    """How a further network recognises atypical mitotic figures.

    Its model file is the folder ``atypical`` of the model file. It is run on a window around each
    mitotic figure with a score at or above the model's threshold. The probability that the figure
    is atypical is ``sigmoid(slope * logit + intercept)``; the logit is the mean of ``symmetries``
    mirrored and turned windows (calibration: Platt 1999).
    """

    id: str = Field(description="Id of the network's model file.")
    threshold: float = Field(
        ge=0, le=1, description="Probability from which a figure is called atypical."
    )
    symmetries: Literal[1, 2, 4, 8] = Field(
        4, description="Mirrored and turned windows whose logits are averaged."
    )
    slope: float = Field(default=1.0, gt=0, le=100)
    intercept: float = Field(default=0.0, ge=-100, le=100)
    spread: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="Standard deviation of the log-odds between cases, beyond the probabilities.",
    )
    chosen_on: str = Field(default="", description="What threshold and calibration come from.")
    scores: AtypicalScores | None = None


class TrainingDomain(Strict):
    """The mean statistics of the images of one training domain."""

    name: str
    images: int = Field(ge=0, description="Images that were measured.")
    mean: dict[str, float] = Field(description="Statistics of ``detection/imagestatistics.py``.")


class DomainStatistics(Strict):
    """The training domains of a model, with which detection compares an image."""

    by: str = Field(description="Kind of domain: scanner, laboratory, ...")
    domains: tuple[TrainingDomain, ...]
    spread: dict[str, float] = Field(description="Spread between images of one domain.")
    limit: dict[str, float] = Field(
        description="By component: 99th percentile of the distances of left-out training images."
    )
    images: int = Field(ge=0, description="Training images that set the limit.")
    scores_shifted: LeftOutScores | None = Field(
        default=None, description="Measured on left-out slides whose images have a domain shift."
    )
    scores_others: LeftOutScores | None = Field(
        default=None, description="Measured on left-out slides whose images have none."
    )


class ModelCard(Strict):
    """Everything that describes a model, written as ``card.json``.

    Cards of version 0.1 name the second stage ``second``; they are read too.
    """

    format: Literal[1] = 1
    name: str
    created: str = Field(description="ISO 8601, UTC.")
    metaphase: str = Field(description="Version of metaphase that wrote it.")
    network: str = Field(description="Kind of network, as in recipes.")
    network_options: dict[str, Any] = Field(description="Its options, enough to build it again.")
    input: InputSpec
    head: HeadSpec
    normalisation: dict[str, tuple[float, float, float]] = Field(
        description="mean and std of RGB in [0, 1]; applied inside the network."
    )
    merge_radius_um: float = Field(gt=0, le=1000)
    threshold: Threshold
    second_stage: SecondStage | None = None
    atypical: Atypical | None = Field(
        default=None, description="The network for atypical mitotic figures; null: none."
    )
    training_data: list[dict[str, Any]] = Field(description="Name, cases, figures and terms.")
    recipe: dict[str, Any] = Field(description="The resolved recipe.")
    seed: int
    versions: dict[str, str] = Field(description="Of Python and the libraries that trained it.")
    scores: CardScores = CardScores({})
    notes: str = "Research use only; not for diagnosis."
    command: str = Field(default="", description="The command that trains the model again.")
    limitations: tuple[str, ...] = Field(
        default=(), description="Known failures, a sentence or two each."
    )
    domains: DomainStatistics | None = Field(
        default=None, description="The training domains, for the domain shift of an image."
    )
    training_images: tuple[str, ...] = Field(
        default=(), description="First 16 digits of the SHA-256 of each training image."
    )
    foreign: ForeignGraph | None = Field(
        default=None, description="The input and outputs of an imported graph."
    )
    weights_sha256: dict[str, str] = Field(
        default_factory=dict, description="SHA-256 of each weights file beside the card."
    )

    @model_validator(mode="after")
    def _check_foreign(self) -> ModelCard:
        if (self.head.kind == "foreign") != (self.foreign is not None):
            raise ValueError('the head is "foreign" if and only if the graph was imported')
        return self

    @model_validator(mode="before")
    @classmethod
    def _read_old_names(cls, data: Any) -> Any:
        if isinstance(data, dict) and "second" in data and "second_stage" not in data:
            data = dict(data)
            data["second_stage"] = data.pop("second")
        return data

    def updated(self, **changes: Any) -> ModelCard:
        """Return the card with some fields replaced. Raises pydantic's ValidationError."""
        values = {name: getattr(self, name) for name in ModelCard.model_fields}
        return ModelCard.model_validate({**values, **changes})

    @property
    def validation_counts(self) -> ValidationCounts | None:
        """The counts of the validation at the threshold, None where they are not known."""
        validation = self.scores.validation
        if validation is None:
            return None
        overall = validation.overall
        counts = {"tp": overall.tp, "fp": overall.fp, "fn": overall.fn}
        if None in counts.values():
            return None
        named = {"protocol": validation.protocol} if validation.protocol else {}
        return ValidationCounts.model_validate(
            {"threshold": self.threshold.value, **counts, **named}
        )
