"""The section `[second_stage]`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from metaphase.models.card import ScoreNormalisation
from metaphase.models.options import Backbone, WindowOptions
from metaphase.training.recipe.sections.base import RecipePath, Section, path_unless, repeated


class MemberWindow(Section):
    """What one network of several sees."""

    window_um: float = Field(gt=0, le=1000, description="Side of its part of the window, um.")
    window_px: int = Field(
        ge=32, le=1024, multiple_of=16, description="Side to which the part is resized, px."
    )


class SecondStage(Section):
    """A second stage: a small network that classifies a window around each candidate.

    It is trained after the detector, on the labelled figures and hard negatives and on the
    detector's false candidates in the training regions. Squares around these places are cut out
    once; every step rotates, scales, shifts and recolours them anew.
    """

    detector: RecipePath | None = Field(
        default=None,
        description="Model file whose detector is used unchanged. `[network]` is not trained then.",
    )
    without_sources: tuple[str, ...] = Field(
        default=(),
        description="Names of sources of whole fields that the second stage does not learn from.",
    )
    windows: int = Field(
        default=32_000,
        gt=0,
        le=1_000_000_000,
        description="Windows of the whole training, for each network.",
    )
    batch_size: int = Field(default=64, gt=0, le=65_536, description="Windows a step.")
    window_um: float = Field(default=20.0, gt=0, le=1000, description="Side of a window, um.")
    window_px: int = Field(
        default=80, ge=32, le=1024, multiple_of=16, description="Side of a window, px."
    )
    members: tuple[MemberWindow, ...] = Field(
        default=(),
        max_length=8,
        description="Several networks instead of one, each on the middle `window_um` of the window "
        "resized to `window_px`. They are trained one after the other; their logits are averaged.",
    )
    backbone: Backbone = repeated(WindowOptions, "backbone")
    weights: Annotated[str, path_unless("imagenet", "none")] | None = Field(
        default=None,
        description="As for the network. A model to fine-tune gives the weights of its second "
        "stage. By default those of `network.weights`, or of ImageNet where the backbones differ.",
    )
    strides: tuple[Literal[8, 16, 32], ...] = Field(
        default=(16, 32),
        min_length=1,
        max_length=3,
        description="Strides of the features that are averaged over the window and joined.",
    )
    figures: float = Field(
        default=0.42, gt=0, lt=1, description="Part of the windows that show a mitotic figure."
    )
    crops: float = Field(
        default=0.45, ge=0, lt=1, description="Part of these figures that come from crops."
    )
    crop_negatives: float = Field(
        default=0.12,
        ge=0,
        lt=1,
        description="Part of the figure-free windows that come from crops.",
    )
    hard_negatives: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Part of the other figure-free windows that show labelled hard negatives, "
        "where there are any.",
    )
    random_negatives: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Part of them that lie at random places. The others show false candidates of "
        "the detector.",
    )
    candidates_per_mm2: float = Field(
        default=450.0,
        gt=0,
        le=1e6,
        description="Largest number of false candidates that are kept for each mm2, best first.",
    )
    random_per_mm2: float = Field(
        default=80.0, ge=0, le=1e6, description="Random places that are kept for each mm2."
    )
    confidence_weight: float = Field(
        default=0.4,
        ge=0,
        le=1,
        description="Where labels give the readers' confidence, the target is moved from the label "
        "towards it by this part of the difference.",
    )
    colour_transfer: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Part of the windows that get the colours of another slide.",
    )
    borders: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Part of the windows with an artificial, mirrored image border.",
    )
    jitter_um: float = Field(
        default=1.5,
        ge=0,
        le=100,
        description="Largest distance of a figure from the centre of its window, um.",
    )
    negative_distance_um: float = Field(
        default=8.0,
        gt=0,
        le=1000,
        description="Least distance of a crop's figures from the centre of its figure-free "
        "windows, um.",
    )
    prior: float = Field(
        default=0.03,
        gt=0,
        lt=1,
        description="Part of the candidates that are mitotic figures in practice. Scores are moved "
        "from the part in training to this one (Saerens et al. 2002); their order stays.",
    )
    learning_rate: float = Field(default=1.5e-3, gt=0, le=10, description="Peak learning rate.")
    backbone_factor: float = Field(
        default=0.4,
        ge=0,
        le=1000,
        description="The backbone's learning rate is multiplied by this.",
    )
    weight_decay: float = Field(default=2e-2, ge=0, le=10, description="Weight decay.")
    warmup: float = Field(
        default=0.15, ge=0, lt=1, description="Part of the training in which the rate rises."
    )
    dropout: float = Field(default=0.3, ge=0, lt=1, description="Dropout before the last layer.")
    trainable_backbone_layers: int = Field(
        default=3, ge=0, le=5, description="Stages of the backbone that are trained, from the last."
    )
    ema: float = Field(
        default=0.99, ge=0, lt=1, description="Decay of the running mean of the weights."
    )
    min_score: float = Field(
        default=0.1, ge=0, lt=1, description="Candidates with a lower score are not rescored."
    )
    weight: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Weight of the second stage's score in the geometric mean of both scores.",
    )
    symmetries: Literal[1, 2, 4, 8] = Field(
        default=4, description="Mirrored and rotated windows whose scores are averaged."
    )
    floor: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="Candidates whose first window scores lower are not seen in other symmetries. "
        "Scores are normalised for this where `score_normalisation` is set.",
    )
    stain_normalisation: Literal["none", "macenko"] = Field(
        default="none",
        description="`macenko`: during detection, the windows' stains are normalised to those of "
        "all training regions together (Macenko et al. 2009); an image with too little stain to "
        "estimate keeps its own. Training windows are not normalised.",
    )
    score_normalisation: ScoreNormalisation | None = Field(
        default=None,
        description="Normalises the scores of an image by those of its candidates, so that one "
        "threshold fits more scanners: `{}` or a table with `per_mm2`, `weight`, `reference` and "
        "`most`.",
    )

    @model_validator(mode="after")
    def _parts_lie_inside(self) -> Self:
        if any(member.window_um > self.window_um * (1 + 1e-9) for member in self.members):
            raise ValueError("members: a part is larger than the window, `window_um`")
        return self
