"""A run from recipe to model file; ``runfolder.py`` says what is in its folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaphase.errors import InterruptedRunError, MissingExtraError
from metaphase.labels.dataset import Dataset
from metaphase.locks import locked_folder
from metaphase.models.card import ModelCard, SecondStage, Threshold
from metaphase.models.modelfile import (
    ATYPICAL_FOLDER,
    SECOND_STAGE_FOLDER,
    Model,
    copy_model,
    load_model,
    load_network,
    rewrite_card,
    save_atypical,
    save_model,
    save_second_stage,
)
from metaphase.training.fit.card import UNDECIDED, finished_card
from metaphase.training.recipe.recipe import Recipe, load_recipe
from metaphase.training.record import claim, is_main_process, write_record
from metaphase.training.runfolder import RunFolder

if TYPE_CHECKING:
    from metaphase.models.networks import Network
    from metaphase.training.data.trainingdata import TrainingData


def train(
    recipe: Recipe | str | Path,
    *,
    out: str | Path,
    overrides: Sequence[str] = (),
    show: bool = True,
) -> Path:
    """Train as a recipe says and return the run's folder ``out``, with the model file in it.

    The same call resumes a run that was interrupted; a finished run is not repeated. ``overrides``
    are ``section.key=value`` for a recipe given by path.

    Raises RecipeError where ``out`` holds a run of another recipe, FolderInUseError where another
    command writes to it, MissingExtraError without PyTorch, InterruptedRunError on Ctrl-C, and the
    errors of labels and slides.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, overrides)
    _require_torch()
    folder = RunFolder(Path(out))
    # Of several processes the first one holds the lock.
    with locked_folder(folder.path) if is_main_process() else nullcontext():
        claim(folder, recipe)
        if not finished(folder.path):
            _train(recipe, folder, show)
    return folder.path


def finished(folder: str | Path) -> bool:
    """Whether a run is complete: its model file has a threshold."""
    model = RunFolder(Path(folder)).model
    if not (model / "card.json").is_file():
        return False
    return load_model(model, verify=False).card.threshold != UNDECIDED


def _train(recipe: Recipe, folder: RunFolder, show: bool) -> None:
    from metaphase.training.data.load import check_figures, load_data

    if recipe.atypical is not None and recipe.atypical.model is not None:
        _add_atypical(recipe, recipe.atypical.model, folder, show)
        return
    data = load_data(recipe)
    check_figures(recipe, data)
    if is_main_process():
        write_record(folder, recipe, data.split)
    network = _fit(recipe, data, folder, show)
    if network is None:  # a process that only helped
        return
    network = network.float().cpu()
    model = _write_model(folder.model, network, finished_card(recipe, network, data))
    if recipe.second_stage is not None:
        model = add_second_stage(recipe, model, data, folder, show)
    if recipe.atypical is not None:
        model = _train_atypical(recipe, model, data, folder, show)
    model = _describe_domains(model, data)
    _freeze_threshold(recipe, model, data.validation, folder, show)


def _fit(recipe: Recipe, data: TrainingData, folder: RunFolder, show: bool) -> Network | None:
    """Return the trained network, or that of a detector that the recipe names; None in all
    processes but the first."""
    import torch

    from metaphase.training.fit.fit import fit
    from metaphase.training.startnetwork import starting_network

    if recipe.second_stage is not None and recipe.second_stage.detector is not None:
        return load_network(load_model(recipe.second_stage.detector))
    torch.manual_seed(recipe.seed)  # new layers start the same
    options = recipe.network_options(data.training)
    network = starting_network(recipe.network.kind, options, recipe.classes)
    try:
        module, trainer = fit(recipe, network, data, folder, show=show)
    except (KeyboardInterrupt, SystemExit):  # Lightning leaves by SystemExit after Ctrl-C
        raise _interrupted(folder) from None
    return module.network.eval() if trainer.is_global_zero else None


def _interrupted(folder: RunFolder) -> InterruptedRunError:
    return InterruptedRunError(f"interrupted; the same command resumes from {folder.path}")


def _write_model(folder: Path, network: Network, card: ModelCard) -> Model:
    """Write a network as a model file, with its ONNX graph."""
    from metaphase.models.export import export_onnx

    onnx = folder.with_name(f"{folder.name}.onnx.part")
    export_onnx(network, onnx)
    model = save_model(folder, card, weights=network.state_dict(), onnx=onnx)
    onnx.unlink()
    return model


def add_second_stage(
    recipe: Recipe, detector: Model, data: TrainingData, folder: RunFolder, show: bool
) -> Model:
    """Train a second stage for the candidates of a detector; return its model file with it.

    ``detector`` is in ``folder``. An interrupted training is resumed. Raises InterruptedRunError on
    Ctrl-C.
    """
    from metaphase.training.patches.slidestains import reference_stain
    from metaphase.training.secondstage.training import train_second_stage

    settings = recipe.second_stage
    assert settings is not None
    try:
        network = train_second_stage(recipe, detector, data, folder, show=show)
    except KeyboardInterrupt:
        raise _interrupted(folder) from None
    card = finished_card(recipe, network, data, name=f"{recipe.name}, second stage")
    classifier = _write_model(detector.folder / SECOND_STAGE_FOLDER, network, card)
    normalised = settings.stain_normalisation == "macenko"
    stage = SecondStage(
        id=classifier.id,
        min_score=settings.min_score,
        weight=settings.weight,
        symmetries=settings.symmetries,
        floor=settings.floor,
        stain=reference_stain(data.training) if normalised else None,
        score_normalisation=settings.score_normalisation,
    )
    return save_second_stage(detector, classifier, stage)


def _train_atypical(
    recipe: Recipe, model: Model, data: TrainingData, folder: RunFolder, show: bool
) -> Model:
    """Train the network for atypical figures and put it into the model file."""
    from metaphase.training.atypical.training import train_atypical

    settings = recipe.atypical
    assert settings is not None
    try:
        trained = train_atypical(recipe, model, data.training, data.crops, folder, show=show)
    except KeyboardInterrupt:
        raise _interrupted(folder) from None
    card = finished_card(recipe, trained.network, data, name=f"{recipe.name}, atypical figures")
    network = _write_model(model.folder / ATYPICAL_FOLDER, trained.network, card)
    sources = ", ".join(source.name or str(source.labels) for source in recipe.data.sources)
    return save_atypical(model, network, trained.for_card(settings, sources))


def _add_atypical(recipe: Recipe, path: str | Path, folder: RunFolder, show: bool) -> None:
    """Train the network for atypical figures alone, for a copy of an existing model file."""
    from metaphase.labels.split import Split
    from metaphase.training.data.sources import crop_cases, region_cases
    from metaphase.training.data.trainingdata import TrainingData

    regions, crops = region_cases(recipe), crop_cases(recipe)
    split = Split(training=regions.ids)
    if is_main_process():
        write_record(folder, recipe, split)
    # The model file appears whole: a run is finished when it is there.
    part = folder.path / "model.part"
    shutil.rmtree(part, ignore_errors=True)
    model = copy_model(load_model(path), part)
    _train_atypical(recipe, model, TrainingData(regions, crops, split), folder, show)
    shutil.rmtree(folder.model, ignore_errors=True)
    part.rename(folder.model)


def _describe_domains(model: Model, data: TrainingData) -> Model:
    """Write statistics of the training images into the card: detection measures domain shift."""
    from metaphase.training.fit.domainstatistics import describe_domains, write_domains

    return write_domains(model, describe_domains(model, data.training, data.crops))


def _freeze_threshold(
    recipe: Recipe, model: Model, validation: Dataset, folder: RunFolder, show: bool
) -> None:
    """Choose the threshold with the finished model file, run in the way that users run it."""
    from metaphase.evaluation.scoresfile import save_scores
    from metaphase.training.fit.thresholdselection import select_threshold

    scores_on: dict[str, Any] = {}
    if len(validation):
        selected = select_threshold(recipe, model, validation, folder.detections, show=show)
        threshold, scores = selected
        save_scores(scores, folder.evaluation)
        scores_on = {"validation": scores.to_dict()}
    else:
        threshold = _threshold_without_validation(recipe)
    rewrite_card(model, threshold=threshold, scores=scores_on)


def _threshold_without_validation(recipe: Recipe) -> Threshold:
    fixed = recipe.validation.threshold
    if fixed == "chosen":
        protocol = "no validation cases: not chosen"
        return Threshold(value=UNDECIDED.value, chosen_on="nothing", protocol=protocol)
    note = recipe.validation.threshold_note
    return Threshold(value=fixed, chosen_on="the recipe", protocol=note)


def _require_torch() -> None:
    # Looked for but not imported: errors in labels and recipes come before that takes its time.
    if any(find_spec(name) is None for name in ("torch", "pytorch_lightning")):
        raise MissingExtraError("train", "training")
