"""A recipe: everything that a training run depends on, in one strict TOML file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError, model_validator

from metaphase.errors import RecipeError
from metaphase.figures import LABELS, Label
from metaphase.files import read_text
from metaphase.labels.dataset import Dataset
from metaphase.training.adapt.options import AdaptOptions
from metaphase.training.recipe.anchors import box_sizes, from_labels
from metaphase.training.recipe.bundled import recipe_path
from metaphase.training.recipe.oldnames import with_present_names
from metaphase.training.recipe.overrides import override
from metaphase.training.recipe.problems import problems_of
from metaphase.training.recipe.sections import (
    Atypical,
    Augment,
    CompactNetwork,
    Data,
    NetworkChoice,
    Optimiser,
    Sampling,
    SecondStage,
    Section,
    Trainer,
    Validation,
)

LARGEST_SEED = 2**63 - 1


def _methods(value: Any) -> Any:
    """Return the options of each method, from one table or several."""
    from metaphase.training.adapt.registry import read_options

    if value is None:
        return None
    return tuple(map(read_options, value if isinstance(value, list | tuple) else [value]))


Methods = Annotated[tuple[SerializeAsAny[AdaptOptions], ...], BeforeValidator(_methods)]


class Recipe(Section):
    """A training recipe. Equal recipes, data and versions give equal runs."""

    name: str = Field(description="Name of the model.")
    seed: int = Field(
        default=0, ge=0, le=LARGEST_SEED, description="Seed of everything that is random."
    )
    notes: str = Field(default="", description="Free text, kept with the run.")
    data: Data = Field(description="Labels, images and the split.")
    network: NetworkChoice = Field(description="The network: `kind` and its options.")
    sampling: Sampling = Field(description="Which patches a run sees.")
    augment: Augment = Field(default=Augment(), description="How patches are augmented.")
    optimiser: Optimiser = Field(
        default=Optimiser(), description="The optimiser and its learning rate."
    )
    trainer: Trainer = Field(default=Trainer(), description="The run: its length, the hardware.")
    second_stage: SecondStage | None = Field(
        default=None, description="A classifier of the detector's candidates; absent: none."
    )
    atypical: Atypical | None = Field(
        default=None,
        description="A network that recognises atypical mitotic figures; absent: none.",
    )
    validation: Validation = Field(default=Validation(), description="How a run is validated.")
    adapt: Methods | None = Field(
        default=None,
        description="Methods of domain adaptation: a table with `method`, or several as "
        "`[[adapt]]`; absent: none.",
    )

    @model_validator(mode="after")
    def _check_regions(self) -> Recipe:
        alone = self.atypical is not None and self.atypical.model is not None
        if not alone and all(source.role == "crops" for source in self.data.sources):
            raise ValueError("data.sources needs a source whose role is 'regions'")
        return self

    @model_validator(mode="after")
    def _check_left_out_sources(self) -> Recipe:
        if self.second_stage is None:
            return self
        names = {source.name for source in self.data.sources if source.role == "regions"}
        left_out = set(self.second_stage.without_sources)
        unknown, record = sorted(left_out - names), "second_stage.without_sources"
        if unknown:
            raise ValueError(f"{record}: no source of whole fields is named {unknown[0]!r}")
        if left_out and not names - left_out:
            raise ValueError(f"{record}: no source of whole fields is left")
        return self

    @property
    def classes(self) -> tuple[Label, ...]:
        """The network's classes: mitotic figures, and hard negatives if they are one."""
        return LABELS if self.network.hard_negative_class else (Label.MITOTIC,)

    def network_options(self, training: Dataset | None = None) -> dict[str, Any]:
        """Return what ``build_network`` takes as options.

        Where the recipe says so, anchors are measured on the training cases (without cases: the
        size of MIDOG's boxes).
        """
        if isinstance(self.network, CompactNetwork):
            return self.network.options()
        cases = training or Dataset(())
        sizes = box_sizes(cases, self.network.mpp, self.data.box_um)
        return self.network.options(from_labels(sizes))


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe: a file, or the name of a bundled recipe.

    ``overrides`` are ``section.key=value`` with TOML values (words need no quotes). Paths are
    relative to the recipe's folder.

    Raises RecipeError with every problem found, each with its place in the file; warns of old names
    (``DeprecatedNameWarning``).
    """
    return _load(recipe_path(path), overrides, warn=True)


def load_run_recipe(path: str | Path) -> Recipe:
    """Read the recipe in a run's folder, which metaphase wrote: old names are read silently."""
    return _load(Path(path), (), warn=False)


def _load(path: Path, overrides: Sequence[str], *, warn: bool) -> Recipe:
    data = with_present_names(_read(path), file=str(path), warn=warn)
    override(data, overrides)
    data = with_present_names(data, file="--set", warn=warn, replace=True)
    return parse_recipe(data, folder=path.parent, file=str(path))


def _read(path: Path) -> dict[str, Any]:
    if path.exists() and not path.is_file():
        raise RecipeError.of(path, "is not a file", way_out="name a TOML file")
    try:
        return tomllib.loads(read_text(path))
    except OSError as error:
        raise RecipeError.of(path, f"cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise RecipeError.of(path, "is nested too deeply") from error
    except ValueError as error:  # TOML, UTF-8, or a number of too many digits
        raise RecipeError.of(path, f"is not TOML: {error}") from error


def parse_recipe(
    data: Mapping[str, Any], *, folder: str | Path = ".", file: str = "recipe"
) -> Recipe:
    """Make a recipe of a table as TOML gives it; relative paths begin at ``folder``.

    Raises RecipeError with every problem found.
    """
    data = with_present_names(data, file=file)
    try:
        # JSON is how pydantic lets lists be tuples and text be paths while it stays strict.
        text = json.dumps(data, default=str)
        return Recipe.model_validate_json(text, context={"folder": Path(folder).absolute()})
    except ValidationError as error:
        raise RecipeError(problems_of(error, Recipe, file)) from None
    except (ValueError, RecursionError) as error:  # numbers and nesting that JSON does not take
        raise RecipeError.of(file, f"is not a recipe: {error}") from error


def resolved(recipe: Recipe) -> str:
    """Return the recipe as TOML with every default written out; it loads back equal."""
    return tomli_w.dumps(_without_none(recipe.model_dump(mode="json")))


def _without_none(value: Any) -> Any:
    """Return a value without the keys of tables that are None: TOML has no null."""
    if isinstance(value, dict):
        return {key: _without_none(inner) for key, inner in value.items() if inner is not None}
    return [_without_none(inner) for inner in value] if isinstance(value, list) else value
