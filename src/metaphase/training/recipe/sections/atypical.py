"""The section `[atypical]`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from metaphase.models.modelfile import zoo_names
from metaphase.models.options import Backbone, WindowOptions
from metaphase.training.recipe.sections.base import Section, expand_path, repeated


def _expand_model(value: str, info: ValidationInfo) -> str:
    return value if value in zoo_names() else str(expand_path(value, info))


class Atypical(Section):
    """A network that recognises atypical mitotic figures among the detected ones.

    It learns from the figures of all sources whose labels say whether they are atypical. Each
    figure is seen in a number of augmented views. The first stages of the backbone are not trained:
    they are computed once for each view, which makes the training fast. A cross-validation by case
    gives the threshold, the calibration and the scores; the network is then trained on all cases.
    """

    model: Annotated[str, AfterValidator(_expand_model)] | None = Field(
        default=None,
        description="Model file, or name of a bundled model, to which the network is added. No "
        "detector is trained then.",
    )
    window_um: float = Field(default=16.0, gt=0, le=1000, description="Side of a window, um.")
    window_px: int = Field(
        default=96, ge=32, le=1024, multiple_of=16, description="Side of a window, px."
    )
    backbone: Backbone = repeated(WindowOptions, "backbone")
    weights: str = Field(
        default="second stage",
        description="Weights to begin with: `second stage` (that of the model; `imagenet` where it "
        "has none or another backbone), `imagenet`, `none`, or a file.",
    )
    strides: tuple[Literal[8, 16, 32], ...] = Field(
        default=(16, 32),
        min_length=1,
        max_length=3,
        description="Strides of the features that are averaged over the window and joined.",
    )
    trained_stages: int = Field(
        default=2,
        ge=1,
        le=2,
        description="Stages of the backbone that are trained, from the last: 1 from stride 16 on, "
        "2 from stride 8 on.",
    )
    views: int = Field(
        default=8, ge=1, le=1000, description="Augmented views of each figure that are computed."
    )
    epochs: float = Field(
        default=8.0, gt=0, le=10_000, description="Windows of a training over the figures."
    )
    batch_size: int = Field(default=64, gt=0, le=65_536, description="Windows a step.")
    atypical_share: float = Field(
        default=0.5, gt=0, lt=1, description="Part of the windows that show an atypical figure."
    )
    case_balance: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="0: every figure is equally likely; 1: every case.",
    )
    soft: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Where labels give the share of readers, the target is moved from the majority "
        "towards it by this part of the difference.",
    )
    smoothing: float = Field(
        default=0.05, ge=0, lt=0.5, description="Targets lie between this and 1 minus this."
    )
    mixup: float = Field(
        default=0.0,
        ge=0,
        le=10,
        description="Parameter of the Beta distribution by which features and targets of pairs are "
        "mixed (Zhang et al. 2018); 0: they are not.",
    )
    colour_transfer: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Part of the views that get the colours of another slide.",
    )
    jitter_um: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="Largest distance of a figure from the centre of its window, um.",
    )
    learning_rate: float = Field(default=1e-3, gt=0, le=10, description="Peak learning rate.")
    backbone_factor: float = Field(
        default=0.4,
        ge=0,
        le=1000,
        description="The backbone's learning rate is multiplied by this.",
    )
    weight_decay: float = Field(default=5e-2, ge=0, le=10, description="Weight decay.")
    warmup: float = Field(
        default=0.15, ge=0, lt=1, description="Part of the training in which the rate rises."
    )
    dropout: float = Field(default=0.4, ge=0, lt=1, description="Dropout before the last layer.")
    ema: float = Field(
        default=0.98, ge=0, lt=1, description="Decay of the running mean of the weights."
    )
    symmetries: Literal[1, 2, 4, 8] = Field(
        default=4, description="Mirrored and rotated windows whose logits are averaged."
    )
    folds: int = Field(default=5, ge=2, le=100, description="Folds of the cross-validation.")

    @model_validator(mode="after")
    def _check_strides(self) -> Atypical:
        first = 8 if self.trained_stages == 2 else 16
        if min(self.strides) < first:
            raise ValueError(
                f"strides must be {first} or more where {self.trained_stages} stages are trained"
            )
        return self
