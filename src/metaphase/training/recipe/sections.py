"""The sections of a training recipe: every field with its meaning, its unit and its default.

TOML has no null: a field that may be absent is absent by default, and "none" is a word.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    model_validator,
)

from metaphase.models.options import Backbone, CompactOptions, RetinaNetOptions, WindowOptions
from metaphase.training.recipe.caselists import expand_lists

BUILT_IN_SPLITS = ("midog21-official", "exercise", "exercise-as-handed-out", "stratified")


class Section(BaseModel):
    """A frozen table of a recipe that refuses unknown keys and does not convert types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Anchors = tuple[tuple[float, ...], ...]
_SECOND_CLASS = "Learn hard negatives as a second class instead of as background."


def _like(section: type[BaseModel], name: str) -> Any:
    """Return a field's default and description once more, for a stricter type."""
    field = section.model_fields[name]
    return Field(default=field.default, description=field.description)


def _often(default: float) -> Any:
    return Field(default, ge=0, le=1, description="Part of the patches it is applied to.")


def _expand(value: str, info: ValidationInfo) -> str:
    """Return an absolute path: variables and ~ expanded, relative to the recipe's folder."""
    folder = (info.context or {}).get("folder", Path.cwd())
    text = os.path.expanduser(os.path.expandvars(value))
    if missing := re.search(r"\$(\w+|\{\w+\})", text):
        raise ValueError(
            f"the environment variable {missing.group(1).strip('{}')} is not set; "
            "set it to the folder it stands for"
        )
    return os.path.normpath(Path(folder, text))


def _expand_path(value: Path, info: ValidationInfo) -> Path:
    return Path(_expand(str(value), info))


def _expand_split(value: str, info: ValidationInfo) -> str:
    return value if value in BUILT_IN_SPLITS else _expand(value, info)


def _path_unless(*words: str) -> Any:
    def expand(value: str, info: ValidationInfo) -> str:
        return value if value in words else _expand(value, info)

    return AfterValidator(expand)


RecipePath = Annotated[Path, AfterValidator(_expand_path)]


def _expand_lists(value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    return expand_lists(value, (info.context or {}).get("folder", Path.cwd()))


PartOfCases = Annotated[
    tuple[str, ...],
    AfterValidator(_expand_lists),
    Field(
        description="Case ids, patterns of them (`A00_*`), domains (`scanner:Aperio CS2`, "
        "`group:A00`, `tumour:...`), or `@list.txt`: a file with one of these a line."
    ),
]


class Source(Section):
    """One file of labels with its images."""

    labels: RecipePath = Field(description="The label file. `$VARIABLES` and `~` are expanded.")
    images: RecipePath | None = Field(default=None, description="Folder of the images.")
    cases: RecipePath | None = Field(
        default=None, description="Table of cases, for a plain table of figures or for MIDOG++."
    )
    kind: str | None = Field(
        default=None, description="Format; recognised from the content by default."
    )
    name: str | None = Field(
        default=None, description="What to call the source; needed with several."
    )
    mpp: float | None = Field(default=None, gt=0, description="um/px, where the files do not tell.")
    scanner: str | None = Field(default=None, description="Scanner, where the labels do not tell.")
    masked: RecipePath | None = Field(
        default=None,
        description='JSON of places that must not be looked at: `{"painted": {"IMAGE.jpg": [[x1, '
        "y1, x2, y2], ...]}}`, full-resolution pixels.",
    )
    terms: str = Field(default="", description="Terms of use, told on the model's card.")
    role: Literal["regions", "crops"] = Field(
        default="regions",
        description="`regions`: labelled all over, so that what is unlabelled is negative. "
        "`crops`: small pictures around a figure, which are pasted into patches of the regions.",
    )
    only: PartOfCases = Field(
        default=(),
        description="Take these cases only: ids, patterns or domains as in a split, `name/` not "
        "before them; `@list.txt` is a file of them. Empty: all.",
    )
    without: PartOfCases = Field(default=(), description="And leave these out.")


class SplitTable(Section):
    """A split written in the recipe itself."""

    training: PartOfCases = ()
    validation: PartOfCases = ()
    test: PartOfCases = ()
    unlabelled: PartOfCases = ()


SplitChoice = Annotated[
    Annotated[str, AfterValidator(_expand_split), Tag("name")]
    | Annotated[SplitTable, Tag("table")],
    Discriminator(lambda value: "table" if isinstance(value, dict | SplitTable) else "name"),
]


class Data(Section):
    """Labels, images and who is trained on."""

    sources: tuple[Source, ...] = Field(description="Where labels and images are.")
    split: SplitChoice = Field(
        description="A split file, a table of case ids, or one of "
        + ", ".join(f"`{name}`" for name in BUILT_IN_SPLITS)
        + ".",
    )
    box_um: float | None = Field(
        default=None,
        gt=0,
        description="Side of the box given to every figure, um. By default the labels' own box, or "
        "12.5 um where the labels are points.",
    )
    ignore_radius_um: float = Field(
        default=7.5,
        ge=0,
        description="Mined places nearer than this to a mitotic figure are dropped, um.",
    )

    @model_validator(mode="after")
    def _names(self) -> Data:
        names = [source.name for source in self.sources]
        if len(names) > 1 and (None in names or len(set(names)) < len(names)):
            raise ValueError("several sources need a name each, all different")
        if all(source.role == "crops" for source in self.sources):
            raise ValueError("needs a source whose role is 'regions'")
        return self


class CompactNetwork(CompactOptions):
    """EfficientNet-Lite features, a light feature pyramid, one map of scores at stride 8."""

    model_config = Section.model_config

    kind: Literal["compact"] = Field(description="The network.")
    weights: Annotated[str, _path_unless("imagenet", "none")] = _like(CompactOptions, "weights")
    hard_negative_class: bool = Field(default=False, description=_SECOND_CLASS)

    def options(self) -> dict[str, Any]:
        """Return what ``build_network`` takes as options."""
        return self.model_dump(include=set(CompactOptions.model_fields), mode="json")


class RetinaNetwork(RetinaNetOptions):
    """torchvision's RetinaNet with ResNet-50, feature pyramid and v2 head."""

    model_config = Section.model_config

    kind: Literal["retinanet_resnet50_fpn_v2"] = Field(description="The network.")
    weights: Annotated[str, _path_unless("coco", "none")] = _like(RetinaNetOptions, "weights")
    anchors: Anchors | Literal["from-labels"] = Field(  # type: ignore[assignment]  # one more word
        default="from-labels",
        description="Anchor sides in px, one list a level, from stride 8 on; or measured on the "
        "labels of the training cases.",
    )
    hard_negative_class: bool = Field(default=False, description=_SECOND_CLASS)

    def options(self, anchors: Anchors | None = None) -> dict[str, Any]:
        """Return what ``build_network`` takes as options; ``anchors`` are those measured."""
        options = self.model_dump(include=set(RetinaNetOptions.model_fields), mode="json")
        if self.anchors == "from-labels":
            if anchors is None:
                raise ValueError("anchors 'from-labels' must be measured first")
            options["anchors"] = anchors
        return options


NetworkChoice = Annotated[CompactNetwork | RetinaNetwork, Field(discriminator="kind")]


class Shares(Section):
    """How the patches are parted between what they are drawn around."""

    mitotic: float = Field(default=0.4, ge=0, description="Around a mitotic figure.")
    hard_negative: float = Field(
        default=0.3, ge=0, description="Around a hard negative, labelled or mined."
    )
    random: float = Field(default=0.3, ge=0, description="Anywhere in a region.")

    @model_validator(mode="after")
    def _some(self) -> Shares:
        if self.mitotic + self.hard_negative + self.random <= 0:
            raise ValueError("one share at least must be positive")
        return self


class Sampling(Section):
    """Which patches are seen."""

    patch_px: int = Field(
        default=256, ge=32, description="Side of a patch at the network's resolution, px."
    )
    patches_per_epoch: int | None = Field(
        default=None, gt=0, description="Patches an epoch over all cases."
    )
    patches_per_case: int | None = Field(
        default=None, gt=0, description="Patches an epoch of every case, instead."
    )
    scheme: Literal["mixture", "exercise"] = Field(
        default="mixture",
        description="`mixture`: by `shares`. `exercise`: half around a random mitotic figure if "
        "the region has any, else uniform.",
    )
    shares: Shares = Field(
        default=Shares(), description="Parts of the mixture; kinds that are absent fall to random."
    )
    offset: Literal["uniform", "centre", "corner-at-centre"] = Field(
        default="uniform",
        description="Where in the patch the figure lies: anywhere, in its centre, or with its "
        "box's top-left corner in the centre (the report's trap).",
    )
    rim_px: int = Field(
        default=24, ge=0, description="With `uniform`, distance kept to the patch's rim, px."
    )
    balance_by: Literal["scanner", "tumour", "species", "laboratory", "group", "none"] = Field(
        default="scanner", description="Domains that are drawn equally often."
    )
    balance_cases: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Within a domain: 0 every figure (or mm2) is as likely, 1 every case is.",
    )
    mined: RecipePath | None = Field(
        default=None,
        description="CSV `case,x_px,y_px` of detections judged false, used as hard negatives.",
    )
    mined_weight: float = Field(
        default=1.0,
        ge=0,
        description="How likely a mined place is against a labelled hard negative.",
    )
    mine_at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(),
        description="Parts of the run after which the training regions are searched for false "
        "positives, which become hard negatives (`[0.3, 0.6]`).",
    )
    mine_score: float = Field(
        default=0.1, ge=0, le=1, description="Lowest score of a false positive that is mined."
    )
    crops_share: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Part of the patches that are composed of crops, where a source is of crops; "
        "`shares` part the rest.",
    )
    crops_decoys: float = Field(
        default=1.0,
        ge=0,
        description="Pieces without a mitotic figure that are pasted for every figure pasted, in "
        "the same way, so that a paste tells nothing.",
    )
    crops_quilts: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Part of those patches whose ground is sewn of figure-free strips of crops, "
        "so that a scanner tells nothing; the ground of the rest is a region.",
    )

    @model_validator(mode="after")
    def _how_many(self) -> Sampling:
        if (self.patches_per_epoch is None) == (self.patches_per_case is None):
            raise ValueError("give either patches_per_epoch or patches_per_case")
        if 2 * self.rim_px >= self.patch_px:
            raise ValueError("rim_px leaves no room in patch_px")
        return self


class Stain(Section):
    """Stain jitter in optical density (Tellez et al. 2018)."""

    multiply: float = Field(
        default=0.25, ge=0, lt=1, description="Each stain is multiplied by 1 ± this."
    )
    shift: float = Field(
        default=0.03, ge=0, description="And shifted by ± this in optical density."
    )
    vectors: str = Field(
        default="ruifrok",
        description="Stain vectors: `ruifrok` (fixed), `macenko` (estimated of each patch) or "
        "`slide` (estimated once a slide; patches composed of several are estimated one by one).",
    )
    probability: float = _often(0.9)


class Restain(Section):
    """Stain taken from a patch of another domain: of another case, scanner or laboratory, labelled
    or not. Patches that hold too little stain, or one only, stay as they are."""

    method: Literal["macenko", "reinhard"] = Field(
        default="macenko",
        description="`macenko`: stains and their amounts (Macenko et al. 2009). `reinhard`: mean "
        "and spread in L*a*b* (Reinhard et al. 2001).",
    )
    probability: float = _often(0.3)


class Fourier(Section):
    """Amplitudes of low frequency mixed with a patch of another domain, labelled or not (Yang and
    Soatto 2020; Xu et al. 2021)."""

    beta: float = Field(
        default=0.02,
        gt=0,
        lt=0.5,
        description="Half side of the square of frequencies, in parts of the patch's side.",
    )
    amount: float = Field(
        default=1.0, ge=0, le=1, description="The other patch's part in the mixture is 0 to this."
    )
    probability: float = _often(0.3)


class Camera(Section):
    """The colour matrix of a camera: channels leak into each other, grey stays grey."""

    matrix: float = Field(
        default=0.1, ge=0, lt=0.3, description="Entries of the matrix differ by ± this."
    )
    probability: float = _often(0.5)


class Tone(Section):
    """Brightness, contrast and gamma, as of a lamp and a camera."""

    brightness: float = Field(default=0.08, ge=0, lt=1, description="± this part of full white.")
    contrast: float = Field(
        default=0.15, ge=0, lt=1, description="Multiplied by 1 ± this around grey."
    )
    gamma: float = Field(default=0.15, ge=0, lt=1, description="Exponent 1 ± this.")
    probability: float = _often(0.6)


class Colour(Section):
    """Hue and saturation, as of a colour profile."""

    hue_deg: float = Field(default=8.0, ge=0, le=180, description="Turned by ± this, degrees.")
    saturation: float = Field(default=0.2, ge=0, le=1, description="Multiplied by 1 ± this.")
    probability: float = _often(0.5)


class Blur(Section):
    """Out of focus."""

    sigma_px: float = Field(default=1.2, ge=0, description="Gaussian of 0 to this, px.")
    probability: float = _often(0.25)


class Sharpen(Section):
    """The sharpening inside a scanner."""

    amount: float = Field(default=0.8, ge=0, description="Unsharp mask of 0 to this.")
    probability: float = _often(0.15)


class Noise(Section):
    """Noise of the camera."""

    sigma: float = Field(
        default=5.0, ge=0, description="Gaussian of 0 to this, grey levels of 255."
    )
    probability: float = _often(0.2)


class Jpeg(Section):
    """Compression once more, so that its traces tell nothing."""

    quality: tuple[int, int] = Field(
        default=(40, 95), description="Lowest and highest quality, 1 to 100."
    )
    probability: float = _often(0.5)

    @model_validator(mode="after")
    def _ordered(self) -> Jpeg:
        low, high = self.quality
        if not 1 <= low <= high <= 100:
            raise ValueError("quality is two numbers, 1 <= lowest <= highest <= 100")
        return self


class Augment(Section):
    """How patches are varied. `strength = 0` leaves the symmetries and the mpp jitter only."""

    symmetries: bool = Field(
        default=True, description="The eight turns and mirror images of a square."
    )
    mpp_jitter: float = Field(
        default=0.1, ge=0, lt=0.5, description="Resolution multiplied by exp(± this)."
    )
    strength: float = Field(
        default=1.0, ge=0, le=2, description="Multiplies the ranges of everything below."
    )
    restain: Restain | None = Field(
        default=None, description="Stain of another domain's patch; absent: not done."
    )
    fourier: Fourier | None = Field(
        default=None, description="Low frequencies of another domain's patch; absent: not done."
    )
    partner_by: Literal["scanner", "tumour", "species", "laboratory", "group"] | None = Field(
        default=None,
        description="Domains that the other patch of `restain` and `fourier` comes from; "
        "by default those of `sampling.balance_by`.",
    )
    stain: Stain = Field(default=Stain(), description="Stain jitter in optical density.")
    tone: Tone = Field(default=Tone(), description="Brightness, contrast, gamma.")
    camera: Camera | None = Field(
        default=None, description="Colour matrix of a camera; absent: not done."
    )
    colour: Colour = Field(default=Colour(), description="Hue and saturation.")
    blur: Blur = Field(default=Blur(), description="Out of focus.")
    sharpen: Sharpen = Field(default=Sharpen(), description="Sharpening.")
    noise: Noise = Field(default=Noise(), description="Camera noise.")
    jpeg: Jpeg = Field(default=Jpeg(), description="JPEG re-compression.")


class Optimiser(Section):
    """How weights follow gradients."""

    kind: Literal["adamw", "adam", "sgd"] = Field(default="adamw", description="The optimiser.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(default=1e-4, ge=0, description="Weight decay.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Momentum of `sgd`.")
    backbone_factor: float = Field(
        default=1.0, ge=0, description="The backbone's learning rate is multiplied by this."
    )
    schedule: Literal["onecycle", "cosine", "constant"] = Field(
        default="onecycle", description="Course of the learning rate over the run."
    )
    schedule_step: Literal["step", "epoch"] = Field(
        default="step",
        description="When the schedule moves on. `epoch` is the report's trap: the schedule is "
        "planned over the steps but moved once an epoch.",
    )
    warmup: float = Field(
        default=0.3, ge=0, lt=1, description="Part of the run in which the rate rises to its peak."
    )


class Trainer(Section):
    """The run: how long, on what, what is kept."""

    epochs: int = Field(default=20, gt=0, description="Epochs.")
    batch_size: int = Field(default=16, gt=0, description="Patches a step and device.")
    accumulate: int = Field(default=1, gt=0, description="Batches whose gradients are added up.")
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        default="auto",
        description="Numeric precision. `auto`: bf16 (mixed) where the GPU or the CPU has "
        "bfloat16 instructions, else fp32; `metaphase doctor` says which. `fp16` needs a GPU.",
    )
    gradient_clip: float = Field(
        default=1.0, ge=0, description="Largest norm of the gradient; 0: free."
    )
    workers: int = Field(default=2, ge=0, description="Processes that read patches, each device.")
    accelerator: Literal["auto", "cpu", "gpu"] = Field(
        default="auto", description="Where to train."
    )
    devices: int | Literal["auto"] = Field(default="auto", description="Devices a machine.")
    nodes: int = Field(default=1, gt=0, description="Machines.")
    validate_every: int = Field(default=1, gt=0, description="Epochs between validations.")
    early_stopping: int | None = Field(
        default=None, gt=0, description="Validations without a better F1 until the run stops."
    )
    worst_of: Literal["scanner", "tumour", "species", "laboratory", "group"] | None = Field(
        default=None,
        description="The best checkpoint, and early stopping, go by the F1 of the worst of these "
        "domains; by default by the F1 of all cases.",
    )
    ema: float = Field(
        default=0.0, ge=0, lt=1, description="Decay of the average of the weights; 0: no average."
    )
    keep: Literal["best", "last"] = Field(
        default="best", description="Whose weights become the model file; both stay as checkpoints."
    )
    cache_mb: int = Field(
        default=2048,
        ge=0,
        description="Decoded pixels of small images kept on disk for all workers, MB.",
    )


class Second(Section):
    """A second stage: a small network that scores a window around each candidate again.

    It is trained when the detector is, on figures and on the detector's mistakes (those that were
    mined and those of the finished detector on the training regions).
    """

    windows: int = Field(default=32_000, gt=0, description="Windows that are seen in all.")
    batch_size: int = Field(default=64, gt=0, description="Windows a step.")
    window_um: float = Field(default=16.0, gt=0, description="Side of a window, um.")
    window_px: int = Field(
        default=96, ge=32, multiple_of=32, description="And in pixels, as the network sees it."
    )
    backbone: Backbone = _like(WindowOptions, "backbone")
    figures: float = Field(
        default=0.45, gt=0, lt=1, description="Part of the windows that hold a mitotic figure."
    )
    crops: float = Field(
        default=0.45, ge=0, lt=1, description="Part of the windows that come from crops."
    )
    elsewhere: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Part of the figure-free windows of regions that are dark places, not mistakes "
        "of the detector.",
    )
    exchange: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Part of the windows of regions that take the colours of crops, and of crops "
        "those of regions.",
    )
    jitter_um: float = Field(
        default=1.5, ge=0, description="A figure is this far from the middle at most, um."
    )
    away_um: float = Field(
        default=7.0, gt=0, description="Figure-free windows of crops are centred this far from it."
    )
    learning_rate: float = Field(default=1.5e-3, gt=0, description="Peak learning rate.")
    backbone_factor: float = Field(default=0.5, ge=0, description="Of the backbone.")
    weight_decay: float = Field(default=2e-2, ge=0, description="Weight decay.")
    warmup: float = Field(default=0.15, ge=0, lt=1, description="Part in which the rate rises.")
    dropout: float = Field(default=0.3, ge=0, lt=1, description="Dropout before the last layer.")
    trainable_backbone_layers: int = Field(
        default=3, ge=0, le=5, description="Stages of the backbone that are trained, from the last."
    )
    ema: float = Field(
        default=0.99, ge=0, lt=1, description="Decay of the running mean of the weights."
    )
    min_score: float = Field(
        default=0.1, ge=0, lt=1, description="Candidates that the detector scores lower are left."
    )
    weight: float = Field(
        default=0.5, ge=0, le=1, description="Of the second score in the (geometric) mean."
    )
    symmetries: Literal[1, 2, 4, 8] = Field(
        default=4, description="Mirrored and turned windows that are averaged."
    )
    stain: Literal["own", "macenko"] = Field(
        default="own",
        description="`macenko`: in detection the stains of an image are exchanged, in the windows, "
        "for those of all training regions together (Macenko et al. 2009); an image that tells too "
        "little of its stains keeps them. Training windows always keep theirs.",
    )


class Validation(Section):
    """How a run is judged: on whole regions."""

    protocol: Literal["regions", "patches"] = Field(
        default="regions",
        description="How the recipe means to be judged: `regions` are whole, `patches` are "
        "placed by the truth, as in the report. The doctor tells what that hides. A run is judged "
        "on whole regions either way; `metaphase evaluate --protocol exercise` prints the other "
        "number.",
    )
    min_score: float = Field(
        default=0.05, ge=0, lt=1, description="Scores below it are not looked at."
    )
    radius_um: float = Field(
        default=7.5, gt=0, description="Detections this near to a figure match, um."
    )
    merge_radius_um: float = Field(
        default=7.5, gt=0, description="Detections this near are one, um."
    )
    threshold: Annotated[float, Field(ge=0, le=1)] | Literal["chosen"] = Field(
        default="chosen",
        description="`chosen` on the validation cases, or a number fixed beforehand.",
    )
    threshold_note: str = Field(
        default="fixed in the recipe", description="Where a number as `threshold` comes from."
    )
