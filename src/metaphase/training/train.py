"""A run from recipe to model file. The folder of a run holds everything that it depended on:

recipe.toml         the recipe with every default written out
split.json          which cases were trained and judged on
environment.json    versions, machine, command
metrics.csv         the curves, one row an epoch; tensorboard/ has them too
mined/              hard negatives mined on the way
checkpoints/        last.ckpt and best.ckpt, with full state
detections/         what the finished model finds in the validation cases
scores.json         and how it scores there
second.csv          the curve of the second stage, where the recipe asks for one
model/              the model file
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaphase.errors import InterruptedRunError, MissingExtraError, RecipeError
from metaphase.figures import Label
from metaphase.files import write_json, write_text
from metaphase.labels.dataset import Dataset
from metaphase.models.card import ModelCard, SecondStage, Threshold
from metaphase.models.modelfile import (
    SECOND_STAGE_FOLDER,
    Model,
    load_model,
    load_network,
    rewrite_card,
    save_model,
    save_second_stage,
)
from metaphase.models.trainingimages import training_images
from metaphase.training.fit.card import UNDECIDED, network_card
from metaphase.training.recipe.recipe import Recipe, load_recipe, load_run_recipe, resolved

if TYPE_CHECKING:
    from metaphase.models.networks import Network
    from metaphase.training.data.trainingdata import TrainingData
    from metaphase.training.recipe.sections import Source

MODEL_NAME = "model"
RECIPE_NAME = "recipe.toml"
EVALUATION_NAME = "evaluation.json"
_LIBRARIES = ("torch", "torchvision", "timm", "pytorch-lightning", "numpy", "onnx")


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
    from metaphase.training.data.load import load_data

    folder = Path(out)
    _claim(folder, recipe)
    if finished(folder):
        return folder
    data = load_data(recipe)
    _write_record(folder, recipe, data.split.model_dump(mode="json"))
    network = _fit(recipe, data, folder, show)
    if network is None:  # a process that only helped
        return folder
    model = _save(recipe, network, data, folder)
    if recipe.second_stage is not None:
        model = _train_second_stage(recipe, model, data, folder, show)
    model = _describe(model, data)
    _freeze(recipe, model, data.validation, folder, show)
    return folder


def finished(folder: str | Path) -> bool:
    """Tell whether a run has come to its end: its model file is there, with its threshold."""
    card = Path(folder) / MODEL_NAME / "card.json"
    if not card.is_file():
        return False
    return load_model(card.parent, verify=False).card.threshold != UNDECIDED


def _fit(recipe: Recipe, data: TrainingData, folder: Path, show: bool) -> Network | None:
    import torch

    from metaphase.models.networks import build_network
    from metaphase.training.fit.fit import fit

    if recipe.second_stage is not None and recipe.second_stage.detector is not None:
        return load_network(load_model(recipe.second_stage.detector))
    torch.manual_seed(recipe.seed)  # new layers start the same
    training, validation = data.training, data.validation
    options = recipe.network_options(training)
    network = build_network(recipe.network.kind, options, recipe.classes)
    try:
        module, trainer = fit(
            recipe,
            network,
            training,
            validation,
            folder,
            crops=data.crops,
            unlabelled=data.unlabelled,
            show=show,
        )
    except (KeyboardInterrupt, SystemExit):  # Lightning leaves by SystemExit after Ctrl-C
        raise _interrupted(folder) from None
    if not trainer.is_global_zero:
        return None
    return module.network.eval()


def _interrupted(folder: Path) -> InterruptedRunError:
    return InterruptedRunError(f"interrupted; the same command goes on from {folder}")


def _save(recipe: Recipe, network: Network, data: TrainingData, folder: Path) -> Model:
    network = network.float().cpu()
    return _write(folder / MODEL_NAME, network, _card(recipe, network, data))


def _write(folder: Path, network: Network, card: ModelCard) -> Model:
    """Write a network as a model file, with its graph."""
    from metaphase.models.export import export_onnx

    onnx = folder.with_name(f"{folder.name}.onnx.part")
    export_onnx(network, onnx)
    model = save_model(folder, card, weights=network.state_dict(), onnx=onnx)
    onnx.unlink()
    return model


def _train_second_stage(
    recipe: Recipe, detector: Model, data: TrainingData, folder: Path, show: bool
) -> Model:
    """Train the second stage and put it into the model file."""
    from metaphase.training.patches.slidestains import reference_stain
    from metaphase.training.secondstage.training import train_second

    settings = recipe.second_stage
    assert settings is not None
    try:
        network = train_second(recipe, detector, data.training, data.crops, folder, show=show)
    except KeyboardInterrupt:
        raise _interrupted(folder) from None
    card = _card(recipe, network, data).model_copy(update={"name": f"{recipe.name}, second stage"})
    second = _write(detector.folder / SECOND_STAGE_FOLDER, network, card)
    look = SecondStage(
        id=second.id,
        min_score=settings.min_score,
        weight=settings.weight,
        symmetries=settings.symmetries,
        floor=settings.floor,
        stain=reference_stain(data.training) if settings.stain_normalisation == "macenko" else None,
    )
    return save_second_stage(detector, second, look)


def _describe(model: Model, data: TrainingData) -> Model:
    """Write into the card what the training images look like, so that others can be told apart."""
    from metaphase.training.fit.domainstatistics import describe_domains, write_domains

    return write_domains(model, describe_domains(model, data.training, data.crops))


def _freeze(recipe: Recipe, model: Model, validation: Dataset, folder: Path, show: bool) -> None:
    """Choose the threshold with the finished model file, run as every user will run it."""
    from metaphase.evaluation.scoresfile import save_scores
    from metaphase.training.fit.thresholdselection import judge

    told: dict[str, Any] = {}
    if len(validation):
        threshold, scores = judge(recipe, model, validation, folder / "detections", show=show)
        save_scores(scores, folder / EVALUATION_NAME)
        told = {"validation": scores.to_dict()}
    else:
        threshold = _not_chosen(recipe)
    rewrite_card(model, threshold=threshold, scores=told)


def _not_chosen(recipe: Recipe) -> Threshold:
    fixed = recipe.validation.threshold
    if fixed == "chosen":
        how = "no validation cases: not chosen"
        return Threshold(value=UNDECIDED.value, chosen_on="nothing", protocol=how)
    how = recipe.validation.threshold_note
    return Threshold(value=fixed, chosen_on="the recipe", protocol=how)


def _card(recipe: Recipe, network: Network, data: TrainingData) -> ModelCard:
    return network_card(
        recipe,
        network,
        metaphase=_version("metaphase"),
        training_data=_told_all(recipe, data),
        training_images=training_images(
            case.image for part in (data.training, data.crops) for case in part
        ),
        recipe=recipe.model_dump(mode="json"),
        versions=_versions(),
    )


def _told_all(recipe: Recipe, data: TrainingData) -> list[dict[str, Any]]:
    told = []
    for source in recipe.data.sources:
        alike = [other for other in recipe.data.sources if other.role == source.role]
        whole = data.training if source.role == "regions" else data.crops
        part = whole.where(lambda case, s=source: case.id.startswith(f"{s.name}/"))  # type: ignore[misc]
        told.append(_told(part if len(alike) > 1 else whole, source))
    return told


def _told(training: Dataset, source: Source) -> dict[str, Any]:
    cases = list(training)
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
    if path.is_file() and not _same(path, recipe):
        raise RecipeError.of(
            folder,
            "holds a run of another recipe",
            way_out="choose another --out, or remove the folder",
        )


def _same(path: Path, recipe: Recipe) -> bool:
    """Tell whether a run's recipe says the same: what a later version added is its default."""
    from metaphase.training.fit.precision import precision_of

    try:
        kept = load_run_recipe(path)
    except RecipeError:
        return False
    # "auto" and the precision that it stands for here are the same run.
    resolved_here = kept.trainer.model_copy(update={"precision": recipe.trainer.precision})
    if precision_of(kept.trainer) == precision_of(recipe.trainer):
        kept = kept.model_copy(update={"trainer": resolved_here})
    return kept == recipe


def _write_record(folder: Path, recipe: Recipe, split: dict[str, Any]) -> None:
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return
    from metaphase.training.fit.precision import choose_precision

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
            "precision": asdict(choose_precision(recipe.trainer)),
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
