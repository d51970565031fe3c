"""A run from recipe to model file. The folder of a run holds everything that it depended on:

recipe.toml         the recipe with every default written out
split.json          which cases were trained and judged on
environment.json    versions, machine, command
metrics.csv         the curves, one row an epoch; tensorboard/ has them too
mined/              hard negatives mined on the way
checkpoints/        last.ckpt and best.ckpt, with full state
detections/         what the finished model finds in the validation cases
scores.json         and how it scores there
model/              the model file
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaphase.errors import InterruptedRunError, MissingExtraError, RecipeError
from metaphase.figures import Label
from metaphase.files import write_json, write_text
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import Model, load_model, save_model
from metaphase.models.spec import ModelCard, Threshold
from metaphase.training.recipe import Recipe, load_recipe, resolved

if TYPE_CHECKING:
    from metaphase.models.networks import Network

MODEL_NAME = "model"
RECIPE_NAME = "recipe.toml"
_LIBRARIES = ("torch", "torchvision", "timm", "pytorch-lightning", "numpy", "onnx")
_UNDECIDED = Threshold(value=0.5, chosen_on="nothing yet", protocol="provisional, while training")


def train(
    recipe: Recipe | str | Path,
    *,
    out: str | Path,
    overrides: Sequence[str] = (),
    show: bool = True,
) -> Path:
    """Train as a recipe says and return the run's folder ``out``, with the model file in it.

    A run that was interrupted goes on where it stopped when it is called again in the same way; a
    finished one is left alone. ``overrides`` are ``section.key=value`` for a recipe given by path.

    Raises RecipeError where ``out`` holds a run of another recipe, MissingExtraError without
    PyTorch, InterruptedRunError on Ctrl-C, and what labels and slides raise.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, overrides)
    _require_torch()
    from metaphase.training.data import load_data

    folder = Path(out)
    _claim(folder, recipe)
    if finished(folder):
        return folder
    data = load_data(recipe)
    _write_record(folder, recipe, data.split.model_dump(mode="json"))
    network = _fit(recipe, data.training, data.validation, folder, show)
    if network is None:  # a process that only helped
        return folder
    model = _save(recipe, network, data.training, folder)
    _freeze(recipe, model, data.validation, folder, show)
    return folder


def finished(folder: str | Path) -> bool:
    """Tell whether a run has come to its end: its model file is there, with its threshold."""
    card = Path(folder) / MODEL_NAME / "card.json"
    if not card.is_file():
        return False
    return load_model(card.parent, verify=False).card.threshold != _UNDECIDED


def _fit(
    recipe: Recipe, training: Dataset, validation: Dataset, folder: Path, show: bool
) -> Network | None:
    import torch

    from metaphase.models.networks import build_network
    from metaphase.training.fit import fit

    torch.manual_seed(recipe.seed)  # new layers start the same
    options = recipe.network_options(training)
    network = build_network(recipe.network.kind, options, recipe.classes)
    try:
        module, trainer = fit(recipe, network, training, validation, folder, show=show)
    except (KeyboardInterrupt, SystemExit):  # Lightning leaves by SystemExit after Ctrl-C
        message = f"interrupted; the same command goes on from {folder}"
        raise InterruptedRunError(message) from None
    if not trainer.is_global_zero:
        return None
    return module.network.eval()


def _save(recipe: Recipe, network: Network, training: Dataset, folder: Path) -> Model:
    from metaphase.models.export import export_onnx

    onnx = folder / "model.onnx.part"
    network = network.float().cpu()
    export_onnx(network, onnx)
    model = save_model(
        folder / MODEL_NAME,
        _card(recipe, network, training),
        weights=network.state_dict(),
        onnx=onnx,
    )
    onnx.unlink()
    return model


def _freeze(recipe: Recipe, model: Model, validation: Dataset, folder: Path, show: bool) -> None:
    """Choose the threshold with the finished model file, run as every user will run it."""
    from metaphase.training.judge import judge

    fixed = recipe.validation.threshold
    if len(validation):
        threshold, scores = judge(recipe, model, validation, folder / "detections", show=show)
        write_json(folder / "scores.json", scores)
    elif fixed != "chosen":
        threshold = Threshold(
            value=fixed, chosen_on="the recipe", protocol=recipe.validation.threshold_note
        )
        scores = {}
    else:
        threshold = Threshold(
            value=_UNDECIDED.value, chosen_on="nothing", protocol="no validation cases: not chosen"
        )
        scores = {}
    card = model.card.model_copy(update={"threshold": threshold, "scores": scores})
    write_json(model.folder / "card.json", card.model_dump(mode="json"))


def _card(recipe: Recipe, network: Network, training: Dataset) -> ModelCard:
    return ModelCard(
        name=recipe.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        metaphase=_version("metaphase"),
        network=network.kind,
        network_options=network.options,
        input=network.input,
        head=network.head,
        normalisation=network.normalisation,
        merge_radius_um=recipe.validation.merge_radius_um,
        threshold=_UNDECIDED,
        training_data=[_told(training, source) for source in recipe.data.sources],
        recipe=recipe.model_dump(mode="json"),
        seed=recipe.seed,
        versions=_versions(),
    )


def _told(training: Dataset, source: Any) -> dict[str, Any]:
    prefix = f"{source.name}/"
    cases = [c for c in training if c.id.startswith(prefix)] or list(training)
    return {
        "name": source.name or training.name,
        "role": source.role,
        "terms": source.terms,
        "cases": len(cases),
        "mitotic_figures": sum(case.count(Label.MITOTIC) for case in cases),
        "hard_negatives": sum(case.count(Label.HARD_NEGATIVE) for case in cases),
        "scanners": sorted({case.domain("scanner") for case in cases}),
    }


def _claim(folder: Path, recipe: Recipe) -> None:
    path = folder / RECIPE_NAME
    if path.is_file() and path.read_text(encoding="utf-8") != resolved(recipe):
        raise RecipeError.of(
            folder,
            "holds a run of another recipe",
            way_out="choose another --out, or remove the folder",
        )


def _write_record(folder: Path, recipe: Recipe, split: dict[str, Any]) -> None:
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return
    write_text(folder / RECIPE_NAME, resolved(recipe))
    write_json(folder / "split.json", split)
    write_json(
        folder / "environment.json",
        {
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "versions": _versions(),
            "platform": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
    )


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "metaphase": _version("metaphase")}
    return versions | {name: _version(name) for name in _LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _require_torch() -> None:
    try:
        import pytorch_lightning  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("train", "training") from error


def read_scores(folder: str | Path) -> dict[str, Any]:
    """Return the validation scores of a finished run."""
    data: dict[str, Any] = json.loads((Path(folder) / "scores.json").read_text(encoding="utf-8"))
    return data
