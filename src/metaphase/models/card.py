"""What a network promises about its input and its output maps, and the card of a model file.

A network takes uint8 RGB tiles [n, height, width, 3] at ``mpp`` and normalises them itself, so that
every runtime is fed the same bytes. It returns two maps a level, in the order of ``levels``:

- logits [n, anchors * classes, h, w], channel ``a * classes + c``;
- geometry [n, anchors * 4 or 2, h, w]: for ``kind = "centre"`` (anchors = 1) the offset dx, dy in
  units of the stride from the cell's centre; for ``kind = "anchors"`` the usual dx, dy, dw, dh of
  R-CNN (Ren et al. 2015, with weights 1) relative to the anchor, channel ``a * 4 + k``.

"window" has no geometry: one map a level, logits [n, classes, h, w] of what lies in the middle of
each cell.

The cell in row i, column j of a level of stride s has its centre at ((j + 0.5) s, (i + 0.5) s) for
"centre" and at (j s, i s) for "anchors" (torchvision's convention), in tile pixels.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from metaphase.figures import Label


class Strict(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Level(Strict):
    """One pair of output maps."""

    stride: float = Field(gt=0, description="Tile pixels a cell.")
    anchors: tuple[tuple[float, float], ...] = Field(
        default=(), description="Width and height in pixels of each anchor; none for centre heads."
    )


class HeadSpec(Strict):
    """How output maps become points."""

    kind: Literal["centre", "anchors", "window"]
    levels: tuple[Level, ...]
    classes: tuple[Label, ...] = (Label.MITOTIC,)


class InputSpec(Strict):
    """What a network must be fed."""

    mpp: float = Field(gt=0, description="Resolution the network was trained at, um/px.")
    tile_px: int = Field(512, gt=0, description="Side of the tile the network is best fed with.")
    margin_px: int = Field(
        32,
        ge=0,
        description="Rim of a tile inside the image whose detections are left to the next.",
    )
    multiple_px: int = Field(32, gt=0, description="A tile's side must be a multiple of this.")


class Threshold(Strict):
    """The frozen operating point and how it was chosen."""

    value: float = Field(ge=0, le=1)
    chosen_on: str = Field(description="Data set and split that chose it.")
    protocol: str = Field(description="How: grid, matcher, radius, and the score that was best.")
    f1: float | None = Field(
        default=None, description="F1 at the threshold on the data that chose it."
    )


SECOND_STAGE_FLOOR = 0.15
"""Far under every threshold: what has so low a score after one window will not pass for more."""


class StainReference(Strict):
    """Stains that images are brought to before a network sees them (``slides/stain.py``)."""

    vectors: tuple[tuple[float, float, float], tuple[float, float, float]] = Field(
        description="Optical density of haematoxylin and of eosin in R, G, B, of length 1."
    )
    amounts: tuple[float, float] = Field(
        description="99th percentiles of their concentration (Macenko et al. 2009)."
    )


class SecondStage(Strict):
    """How a second network looks again at what the first one found.

    It lies in the folder ``second`` of the model file. A figure's score becomes
    ``first ** (1 - weight) * second ** weight``.
    """

    id: str = Field(description="Id of the second network's model file.")
    min_score: float = Field(
        0.1, ge=0, le=1, description="What the first network scores lower is left out."
    )
    weight: float = Field(0.5, ge=0, le=1, description="Of the second score against the first.")
    symmetries: Literal[1, 2, 4, 8] = Field(
        4, description="Mirrored and turned windows whose logits are averaged."
    )
    floor: float = Field(
        default=SECOND_STAGE_FLOOR,
        ge=0,
        le=1,
        description="Where one window makes the score lower than this, it stays the only one.",
    )
    stain: StainReference | None = Field(
        default=None, description="What the stains of an image are exchanged for in windows."
    )


class TrainingDomain(Strict):
    """What the images of one training domain look like on average."""

    name: str
    images: int = Field(ge=0, description="Images that were looked at.")
    mean: dict[str, float] = Field(description="Numbers as ``detection/appearance.py`` names them.")


class DomainStatistics(Strict):
    """What a model was trained on looks like, so that detection can tell what does not."""

    by: str = Field(description="Kind of domain: scanner, laboratory, ...")
    domains: tuple[TrainingDomain, ...]
    spread: dict[str, float] = Field(description="Spread between images of one domain.")
    limit: dict[str, float] = Field(
        description="By component: 99th percentile of the distances of left-out training images."
    )
    images: int = Field(ge=0, description="Training images that set the limit.")


class ModelCard(Strict):
    """Everything a model file tells about itself. Written as ``card.json``.

    Cards of version 0.1 name the second stage ``second``; they are read as they are.
    """

    format: Literal[1] = 1
    name: str
    created: str = Field(description="ISO 8601, UTC.")
    metaphase: str = Field(description="Version of metaphase that wrote it.")
    network: str = Field(description="Kind of network, as in recipes.")
    network_options: dict[str, Any] = Field(description="Its sizes, enough to build it again.")
    input: InputSpec
    head: HeadSpec
    normalisation: dict[str, tuple[float, float, float]] = Field(
        description="mean and std of RGB in [0, 1]; applied inside the network."
    )
    merge_radius_um: float = Field(gt=0)
    threshold: Threshold
    second_stage: SecondStage | None = None
    training_data: list[dict[str, Any]] = Field(description="Name, cases, figures and terms.")
    recipe: dict[str, Any] = Field(description="The resolved recipe.")
    seed: int
    versions: dict[str, str] = Field(description="Of Python and the libraries that trained it.")
    scores: dict[str, Any] = Field(default_factory=dict)
    notes: str = "Research use only; not for diagnosis."
    command: str = Field(default="", description="The command that makes the model again.")
    limitations: tuple[str, ...] = Field(
        default=(), description="Known failures, a sentence or two each."
    )
    domains: DomainStatistics | None = Field(
        default=None, description="What the training images look like."
    )
    weights_sha256: dict[str, str] = Field(
        default_factory=dict, description="SHA-256 of each weights file beside the card."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_old_names(cls, data: Any) -> Any:
        if isinstance(data, dict) and "second" in data and "second_stage" not in data:
            data = dict(data)
            data["second_stage"] = data.pop("second")
        return data
