"""The sections `[data]`, `[[data.sources]]` and `[data.split]`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, model_validator

from metaphase.radii import MATCH_RADIUS_UM
from metaphase.training.recipe.sections.base import PartOfCases, RecipePath, Section, expand_path

BUILT_IN_SPLITS = ("midog21-official", "exercise", "exercise-as-handed-out", "stratified")


def _expand_split(value: str, info: ValidationInfo) -> str:
    return value if value in BUILT_IN_SPLITS else expand_path(value, info)


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
    mpp: float | None = Field(
        default=None, ge=0.001, le=100, description="um/px, where the files do not say."
    )
    scanner: str | None = Field(default=None, description="Scanner, where the labels do not say.")
    masked: RecipePath | None = Field(
        default=None,
        description="JSON of places whose pixels must not be used: "
        '`{"painted": {"IMAGE.jpg": [[x1, y1, x2, y2], ...]}}`, full-resolution pixels.',
    )
    terms: str = Field(default="", description="Terms of use, for the model's card.")
    role: Literal["regions", "crops"] = Field(
        default="regions",
        description="`regions`: every figure is labelled, so that the rest is negative. "
        "`crops`: small images around a figure, which are pasted into patches of the regions.",
    )
    only: PartOfCases = Field(
        default=(),
        description="Take these cases only: ids, patterns or domains as in a split, without "
        "`name/`; `@list.txt` is a file of them. Empty: all.",
    )
    without: PartOfCases = Field(default=(), description="Leave these cases out.")


class SplitTable(Section):
    """A split given in the recipe."""

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
    """Labels, images and the split."""

    sources: tuple[Source, ...] = Field(min_length=1, description="Where labels and images are.")
    split: SplitChoice = Field(
        description="A split file, a table of case ids, or one of "
        + ", ".join(f"`{name}`" for name in BUILT_IN_SPLITS)
        + ".",
    )
    box_um: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="Side of the box given to every figure, um. By default the labels' own box, or "
        "12.5 um where the labels are points.",
    )
    ignore_radius_um: float = Field(
        default=MATCH_RADIUS_UM,
        ge=0,
        le=1000,
        description="Mined places within this distance of a mitotic figure are dropped, um.",
    )

    @model_validator(mode="after")
    def _names(self) -> Data:
        names = [source.name for source in self.sources]
        if len(names) > 1 and (None in names or len(set(names)) < len(names)):
            raise ValueError("several sources need a name each, all different")
        if not self.sources:
            raise ValueError("needs at least one source")
        return self
