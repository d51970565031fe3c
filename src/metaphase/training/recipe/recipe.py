"""A recipe: everything a training run depends on, in one strict TOML file."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, Field, SerializeAsAny, ValidationError

from metaphase.errors import Problem, RecipeError
from metaphase.figures import LABELS, Label
from metaphase.labels.dataset import Dataset
from metaphase.training.adapt.options import AdaptOptions
from metaphase.training.recipe.anchors import box_sizes, from_labels
from metaphase.training.recipe.sections import (
    Augment,
    CompactNetwork,
    Data,
    NetworkChoice,
    Optimiser,
    Sampling,
    Second,
    Section,
    Trainer,
    Validation,
)
from metaphase.training.recipe.toml import dumps

COMMAND_LINE = "--set"


def _methods(value: Any) -> Any:
    """Return the options of each method, from one table or several."""
    from metaphase.training.adapt.registry import read_options

    if value is None:
        return None
    return tuple(map(read_options, value if isinstance(value, list | tuple) else [value]))


Methods = Annotated[tuple[SerializeAsAny[AdaptOptions], ...], BeforeValidator(_methods)]


class Recipe(Section):
    """A training recipe. Equal recipes, data and versions give equal runs."""

    name: str = Field(description="What to call the model.")
    seed: int = Field(default=0, ge=0, description="Seed of everything that is random.")
    notes: str = Field(default="", description="Free text, kept with the run.")
    data: Data = Field(description="Labels, images and the split.")
    network: NetworkChoice = Field(description="The network: `kind` and its options.")
    sampling: Sampling = Field(description="Which patches are seen.")
    augment: Augment = Field(default=Augment(), description="How patches are varied.")
    optimiser: Optimiser = Field(default=Optimiser(), description="How weights follow gradients.")
    trainer: Trainer = Field(default=Trainer(), description="How long, on what.")
    second: Second | None = Field(
        default=None, description="A second stage at what the detector found; absent: none."
    )
    validation: Validation = Field(default=Validation(), description="How the run is judged.")
    adapt: Methods | None = Field(
        default=None,
        description="Methods that make it hold up on other scanners: a table with `method`, or "
        "several as `[[adapt]]`; absent: none.",
    )

    @property
    def classes(self) -> tuple[Label, ...]:
        """The network's classes: mitotic figures, and hard negatives if they are one."""
        return LABELS if self.network.hard_negative_class else (Label.MITOTIC,)

    def network_options(self, training: Dataset | None = None) -> dict[str, Any]:
        """Return what ``build_network`` takes as options; anchors measured on the training cases
        where the recipe says so (without cases, MIDOG's box)."""
        if isinstance(self.network, CompactNetwork):
            return self.network.options()
        cases = training or Dataset(())
        sizes = box_sizes(cases, self.network.mpp, self.data.box_um)
        return self.network.options(from_labels(sizes))


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe. ``overrides`` are ``section.key=value`` with TOML values (words need no
    quotes). Paths are taken relative to the recipe's folder.

    Raises RecipeError with every problem found, each with its place in the file.
    """
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError.of(path, f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError.of(path, f"is not TOML: {error}") from error
    override(data, overrides)
    return parse_recipe(data, folder=path.parent, file=str(path))


def parse_recipe(
    data: Mapping[str, Any], *, folder: str | Path = ".", file: str = "recipe"
) -> Recipe:
    """Make a recipe of a mapping as TOML gives it; ``folder`` is where relative paths begin."""
    try:
        # JSON is how pydantic lets lists be tuples and text be paths while it stays strict.
        text = json.dumps(data, default=str)
        return Recipe.model_validate_json(text, context={"folder": Path(folder).absolute()})
    except ValidationError as error:
        raise RecipeError(_problems(error, file)) from None


def shipped_recipe(name: str) -> Path:
    """Return the path of a recipe that comes along: "compact", "demo", "exercise", "resnet50"."""
    package = Path(__file__).resolve().parents[2]
    # Inside an installed package; beside the sources of a checkout.
    folders = (package / "recipes", package.parents[1] / "recipes")
    known = {path.stem: path for folder in folders for path in folder.glob("*.toml")}
    if name not in known:
        raise RecipeError.of(
            name, "no such recipe comes along", way_out=f"one of {', '.join(sorted(known))}"
        )
    return known[name]


def resolved(recipe: Recipe) -> str:
    """Return the recipe as TOML with every default written out; it loads back equal."""
    return dumps(recipe.model_dump(mode="json"))


def override(data: dict[str, Any], overrides: Iterable[str]) -> None:
    """Set ``a.b.c=value`` in nested tables, in place. Numbers in a path count a list's items."""
    problems = [problem for item in overrides if (problem := _set(data, item))]
    if problems:
        raise RecipeError(problems)


def _set(data: dict[str, Any], item: str) -> Problem | None:
    path, equals, text = item.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        return Problem(COMMAND_LINE, item, "is not KEY=VALUE", "e.g. --set trainer.epochs=5")
    table: Any = data
    try:
        for key in keys[:-1]:
            table = table[int(key)] if isinstance(table, list) else table.setdefault(key, {})
        if isinstance(table, list):
            table[int(keys[-1])] = _toml_value(text)
        elif isinstance(table, dict):
            table[keys[-1]] = _toml_value(text)
        else:
            raise TypeError
    except (TypeError, ValueError, IndexError, AttributeError):
        return Problem(COMMAND_LINE, item, "names nothing that can be set in this recipe")
    return None


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text.strip()  # a bare word, as a shell leaves it


def _problems(error: ValidationError, file: str) -> list[Problem]:
    return [_problem(e["loc"], e["type"], e["msg"], file) for e in error.errors()]


def _problem(loc: tuple[int | str, ...], kind: str, message: str, file: str) -> Problem:
    path, owners = _follow(loc)
    if kind == "extra_forbidden":
        return Problem(file, path, "is not a known key", _did_you_mean(str(loc[-1]), owners))
    if kind == "missing":
        return Problem(file, path, "is missing")
    if kind.startswith("union_tag"):
        kinds = [k for owner in sections_in(NetworkChoice) for k in _kinds(owner)]
        return Problem(file, f"{path}.kind", "is missing or unknown", f"one of {', '.join(kinds)}")
    message = message.removeprefix("Value error, ")
    return Problem(file, path, message[:1].lower() + message[1:])


def _follow(loc: tuple[int | str, ...]) -> tuple[str, list[type[BaseModel]]]:
    """Return the TOML path of pydantic's location, and the sections its last key belongs to."""
    path = ""
    owners: list[type[BaseModel]] = [Recipe]
    inside: list[type[BaseModel]] = [Recipe]
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
            continue
        annotations = [s.model_fields[part].annotation for s in inside if part in s.model_fields]
        tagged = [s for s in inside if part in _kinds(s)]
        if not annotations and (
            tagged or (part in ("table", "name") and len(inside) == 1 and path)
        ):
            inside = tagged or inside
            continue
        path += f".{part}" if path else part
        owners, inside = inside, [s for a in annotations for s in sections_in(a)]
    return path or "recipe", owners


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the sections that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for inner in get_args(annotation) for section in sections_in(inner)]


def _kinds(section: type[BaseModel]) -> tuple[Any, ...]:
    kind = section.model_fields.get("kind")
    return get_args(kind.annotation) if kind and get_origin(kind.annotation) is Literal else ()


def _did_you_mean(key: str, owners: list[type[BaseModel]]) -> str:
    known = [name for owner in owners for name in owner.model_fields]
    if near := difflib.get_close_matches(key, known, n=1, cutoff=0.6):
        return f"did you mean {near[0]}?"
    for name, field in Recipe.model_fields.items():
        if any(key in section.model_fields for section in sections_in(field.annotation)):
            return f"did you mean {name}.{key}?"
    return f"known here: {', '.join(known)}"
