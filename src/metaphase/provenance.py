"""Where detections come from: the image, the model, and the parameters of the run.

Everything is written to ``detections.json``. Keys that this version does not know are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

COARSE = 1.5
"""Above this ratio of the image's um/px to the network's, an image lacks the detail to decide."""

MOST_PX = 2**31
"""Most pixels of a side of an image."""
_OLD_NAMES = {
    "second_look": "second_stage",  # old word
    "familiarity": "domain_shift",  # old word
}
_OLD_SHIFT_NAMES = {"times": "ratio", "unfamiliar": "shifted"}

Pixels = Annotated[int, Field(ge=0, le=MOST_PX)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class Frozen(BaseModel):
    """A frozen model whose JSON has the keys that were set, and those that it does not know."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    def to_json(self) -> dict[str, Any]:
        """Return the keys that were set, as plain JSON values (lists, not tuples)."""
        return self.model_dump(mode="json", exclude_unset=True)


class ValidationCounts(Frozen):
    """How the model did in its own validation, at its threshold."""

    threshold: float
    tp: int = Field(ge=0, description="Labelled figures that were found.")
    fp: int = Field(ge=0, description="Detections that are no labelled figure.")
    fn: int = Field(ge=0, description="Labelled figures that were missed.")
    protocol: str | None = None


class ComponentShift(Frozen):
    """The domain shift in one component: the ratio (see ``DomainShift``) and the nearest domain."""

    ratio: float
    nearest: str

    @model_validator(mode="before")
    @classmethod
    def _read_old_names(cls, data: Any) -> Any:
        return _renamed(data, _OLD_SHIFT_NAMES)


class LeftOutScores(Frozen):
    """How models that had not seen some slides did on them, at thresholds from other slides."""

    slides: int = Field(ge=1)
    figures: int = Field(ge=0)
    precision: Share
    recall: Share


class DomainShift(Frozen):
    """How far an image is from the training images of its model (``detection/domainshift.py``).

    ``ratio`` is the distance to the nearest training domain over the limit that was calibrated on
    training images; above 1 the image is ``shifted``. It is the largest of the components' ratios.
    ``scores_shifted`` and ``scores_others`` are what was measured on slides outside of the training
    whose images were shifted, and on those whose images were not.
    """

    ratio: float
    component: str
    nearest: str
    training_images: int
    shifted: bool
    components: dict[str, ComponentShift] = Field(default_factory=dict)
    scores_shifted: LeftOutScores | None = None
    scores_others: LeftOutScores | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_old_names(cls, data: Any) -> Any:
        return _renamed(data, _OLD_SHIFT_NAMES)

    @property
    def warning(self) -> str | None:
        """The sentence that a user should read, None where the image is like the training."""
        if not self.shifted:
            return None
        what = _SUBJECTS.get(self.component, f"The {self.component} of this image")
        return (
            f"{what} differs from the training images ({self.ratio:.1f} times the limit; nearest: "
            f"{self.nearest}). {self._measured}Check the detections, or adapt the model with "
            "'metaphase adapt'."
        )

    @property
    def _measured(self) -> str:
        """What such a shift meant for the detections, as far as it was measured."""
        shifted, others = self.scores_shifted, self.scores_others
        if shifted is None:
            return ""
        text = (
            f"On {shifted.slides} other slide{'s' * (shifted.slides != 1)} with this warning, "
            f"{shifted.precision:.0%} of the detections were right and {shifted.recall:.0%} of the "
            "mitotic figures were found. "
        )
        if others is not None:
            text += (
                f"On {others.slides} without it: {others.precision:.0%} and {others.recall:.0%}. "
            )
        return text


_SUBJECTS = {"response": "The response of the network to this image"}
"""Components of the domain shift that are not properties of an image."""

ATYPICAL_THRESHOLD = 0.5
"""Probability from which a figure is called atypical, where detections do not say."""


class AtypicalParameters(Frozen):
    """How the probability that a mitotic figure is atypical is used.

    ``threshold`` is the probability from which a figure is called atypical. ``spread`` is the
    standard deviation of the log-odds between cases, beyond what the probabilities say.
    """

    threshold: Share
    spread: float = Field(default=0.0, ge=0, le=10, allow_inf_nan=False)


class Parameters(Frozen):
    """Everything beside image, model and threshold that a result depends on, and how it went.

    A parameter that does not apply is None or absent. Lengths in px are full-resolution pixels.
    """

    min_score: Share | None = Field(default=None, description="Lowest score that was kept.")
    network_mpp: float | None = Field(default=None, description="um/px at which tiles were read.")
    resampled: bool | None = None
    tile_px: int | None = Field(default=None, description="Side of a tile, network pixels.")
    margin_px: int | None = Field(default=None, description="Rim of a tile left to its neighbours.")
    max_per_tile: int | None = None
    merge_radius_um: float | None = None
    region: tuple[Real, Real, Real, Real] | None = Field(
        default=None, description="x, y, width, height."
    )
    roi_sha256: str | None = Field(
        default=None, description="Of the file of the region of interest."
    )
    tissue: bool | None = Field(default=None, description="Whether only tissue was analysed.")
    tissue_mm2: float | None = None
    second_stage: dict[str, Any] | None = Field(
        default=None, description="As on the card, without its id."
    )
    atypical: AtypicalParameters | None = Field(
        default=None, description="How atypical figures are recognised, as on the card."
    )
    stain: dict[str, Any] | None = Field(
        default=None, description="The stains of the image (Macenko)."
    )
    bounds_px: tuple[Real, Real] | None = Field(
        default=None, description="Corner QuPath counts from."
    )
    tiles: int | None = None
    tiles_left_out: int | None = None
    validation: ValidationCounts | None = None
    precision: str | None = Field(default=None, description="In which the network was computed.")
    capped_tiles: int | None = Field(
        default=None, description="Tiles with more candidates than are kept."
    )
    domain_shift: DomainShift | None = None
    score_level: float | None = Field(
        default=None, description="Level of the image's scores, a logit, before normalisation."
    )
    score_shift: float | None = Field(
        default=None, description="What normalisation added to the logits of the scores."
    )
    trained_on: bool | None = Field(default=None, description="Whether it is a training image.")
    read_from: str | None = Field(default=None, description="File of another tool that was read.")
    format: str | None = Field(default=None, description="Its format.")
    merged: int | None = Field(
        default=None, description="Detections that were merged after reading it."
    )
    not_named: bool | None = Field(default=None, description="Whether that file lacks this image.")

    @model_validator(mode="before")
    @classmethod
    def _read_old_names(cls, data: Any) -> Any:
        data = _renamed(data, _OLD_NAMES)
        if isinstance(data, Mapping) and data.get("domain_shift") == {}:
            return {**data, "domain_shift": None}
        return data

    def updated(self, **changes: Any) -> Parameters:
        """Return these parameters with some replaced or added."""
        return Parameters.model_validate({**self.to_json(), **changes})


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a set of detections comes from. Lengths and positions are full-resolution pixels.

    ``image_sha256`` is the hash of the image's files, ``model_id`` that of the model's card and
    weights. ``parameters`` may be given as a mapping with the keys of ``Parameters``.
    """

    image: str
    width_px: Pixels
    height_px: Pixels
    mpp: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    mpp_source: str = ""
    image_sha256: str = ""
    model: str = ""
    model_id: str = ""
    threshold: Real = 0.0
    runtime: str = ""
    metaphase: str = ""
    parameters: Parameters = field(default_factory=Parameters)

    def __post_init__(self) -> None:
        """Turn a mapping of parameters into ``Parameters``. Raises ValueError for wrong values."""
        given: Any = self.parameters
        if not isinstance(given, Parameters):
            object.__setattr__(self, "parameters", Parameters.model_validate(given))

    @classmethod
    def from_json(cls, data: Any) -> Provenance:
        """Return the provenance that ``to_json`` gave. Raises pydantic's ValidationError."""
        provenance: Provenance = _ADAPTER.validate_python(data)
        return provenance

    def to_json(self) -> dict[str, Any]:
        """Return what ``detections.json`` holds: all fields, and the warnings as text."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            **values,
            "parameters": self.parameters.to_json(),
            "warnings": list(self.warnings),
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of any number made from these detections should know, in sentences."""
        shift = self.parameters.domain_shift
        found = (
            self._resolution_warning(),
            shift and shift.warning,
            self._cap_warning(),
            _TRAINED_ON if self.parameters.trained_on else None,
        )
        return tuple(text for text in found if text)

    def _resolution_warning(self) -> str | None:
        network_mpp = self.parameters.network_mpp
        if not network_mpp or self.mpp <= COARSE * network_mpp:
            return None
        return (
            f"The image has {self.mpp:.3g} um/px. The model was trained at {network_mpp:.3g} um/px "
            "and needs that detail. Scan it at a higher magnification, or check its resolution."
        )

    def _cap_warning(self) -> str | None:
        if not self.parameters.capped_tiles:
            return None
        return (
            f"{self.parameters.capped_tiles} tiles had more candidates than are kept. Raise "
            "--min-score, or check that the model suits this image."
        )


_TRAINED_ON = (
    "The model was trained on this image. Its detections here are better than on new images, and "
    "scores on it say nothing about new images."
)
_ADAPTER = TypeAdapter(Provenance)


def _renamed(data: Any, names: Mapping[str, str]) -> Any:
    """Return a mapping with the keys of version 0.1 under their names of today."""
    if not isinstance(data, Mapping) or not any(old in data for old in names):
        return data
    return {names.get(key, key): value for key, value in data.items()}
