"""Adapt a finished model file to the unlabelled images of a scanner.

The source data are not needed. The method is one of ``methods/`` that needs no labels: ``adabn``
re-estimates statistics in one pass, ``mean-teacher`` trains for some hundred steps. The card of the
new model file names the old model and the method. Progress is kept in ``OUT/.adapting``: the same
call resumes after an interruption, and gives the same model.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metaphase import __version__
from metaphase.errors import InterruptedRunError, ModelFileError, RecipeError
from metaphase.files import real_path, whole_file, write_text
from metaphase.locks import locked_folder
from metaphase.models.card import ModelCard
from metaphase.models.cardscores import CardScores
from metaphase.models.export import export_onnx
from metaphase.models.modelfile import Model, load_model, load_network, save_model
from metaphase.models.networks import Network
from metaphase.training.adapt.base import Method, Step, UnlabelledBatch
from metaphase.training.adapt.options import AdaptOptions
from metaphase.training.adapt.registry import find_method, read_options
from metaphase.training.adapt.training import setting_of
from metaphase.training.adapt.unlabelled import UnlabelledPatches, collate_pairs
from metaphase.training.data.trainingdata import Unlabelled
from metaphase.training.fit.checkpoints import DamagedCheckpointError, read_checkpoint
from metaphase.training.fit.domainstatistics import describe_domains
from metaphase.training.recipe.oldnames import with_present_names
from metaphase.training.recipe.overrides import override
from metaphase.training.recipe.recipe import Recipe, parse_recipe

WORK_NAME = ".adapting"
_KEEP_EVERY = 25
_NO_STEPS = ("adabn",)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Adaptation:
    """How a model is adapted. Without labels there is no score to stop by, so the steps are few and
    small."""

    options: AdaptOptions
    steps: int = 200
    batch_size: int = 8
    patch_px: int = 256
    learning_rate: float = 1e-4
    seed: int = 0


def adaptation(method: str = "adabn", overrides: Sequence[str] = (), **changes: Any) -> Adaptation:
    """Return an adaptation by a method's name; ``overrides`` are its options as ``key=value``.

    Raises RecipeError for an unknown method or option.
    """
    table: dict[str, Any] = {"method": method}
    override(table, overrides)
    try:
        options = read_options(table)
    except ValueError as error:
        raise RecipeError.of("--method", str(error)) from error
    if find_method(options.method).unlabelled != "needed":
        raise RecipeError.of(
            "--method",
            f"{options.method!r} needs labels, and adapting has none",
            way_out="adabn or mean-teacher, or a recipe with [adapt]",
        )
    return Adaptation(options, **changes)


def adapt_model(
    model: Model | str | Path,
    unlabelled: Unlabelled,
    out: str | Path,
    how: Adaptation | None = None,
    *,
    progress: Progress | None = None,
) -> Model:
    """Adapt a model to unlabelled cases and write a new model file to ``out``.

    Raises ModelFileError for a model without weights for PyTorch, SlideError and UnknownMppError
    for images, RecipeError, FolderInUseError, InterruptedRunError on Ctrl-C.
    """
    model = model if isinstance(model, Model) else load_model(model)
    how = how or adaptation()
    out = Path(out)
    if real_path(out) == real_path(model.folder):
        raise ModelFileError.of(out, "is the model itself", way_out="choose another --out")
    with locked_folder(out):
        if (out / "card.json").is_file():
            return _finished(out, model, how, unlabelled)
        return _adapt(model, unlabelled, out, how, progress)


def _adapt(
    model: Model, unlabelled: Unlabelled, out: Path, how: Adaptation, progress: Progress | None
) -> Model:
    network = load_network(model)
    recipe = _recipe(model)
    patches = _patches(model, unlabelled, how, recipe)
    setting = setting_of(recipe, network, (_scanner(unlabelled),), len(unlabelled))
    torch.manual_seed(how.seed)
    method = find_method(how.options.method)(how.options, setting)
    work = out / WORK_NAME
    try:
        _claim(work, _record(model, how, unlabelled))
        if how.options.method not in _NO_STEPS:
            _teach(network, method, patches, model, how, work, progress)
        method.finish(network, patches.draw)
    except KeyboardInterrupt:
        message = f"interrupted; the same command resumes from {work}"
        raise InterruptedRunError(message) from None
    adapted = _save(network.eval(), model, how, unlabelled, out)
    shutil.rmtree(work, ignore_errors=True)
    return adapted


def _teach(
    network: Network,
    method: Method,
    patches: UnlabelledPatches,
    model: Model,
    how: Adaptation,
    work: Path,
    progress: Progress | None,
) -> None:
    """Take the remaining steps. Statistics of batch normalisation are not changed: batches are too
    small to estimate them; that is adabn's purpose."""
    trained = [p for p in (*network.parameters(), *method.parameters()) if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=how.learning_rate, weight_decay=1e-4)
    state = work / "state.pt"
    done = _resume(state, network, method, optimiser)
    for number in range(done, how.steps):
        torch.manual_seed(int(np.random.SeedSequence([how.seed, number]).generate_state(1)[0]))
        first = number * how.batch_size
        batch = collate_pairs([patches[first + i] for i in range(how.batch_size)])
        network.eval()
        loss = _loss(network, method, batch, number / how.steps, model.card.threshold.value)
        if loss is not None:
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
        method.after_step(network)
        if (number + 1) % _KEEP_EVERY == 0:
            _keep(state, network, method, optimiser, number + 1)
        if progress:
            progress(number + 1, how.steps)


def _loss(
    network: Network, method: Method, batch: UnlabelledBatch, done: float, operating_point: float
) -> Tensor | None:
    step = Step(
        network=network,
        images=None,
        targets=(),
        maps=(),
        features=None,
        losses={},
        unlabelled=batch,
        progress=done,
        operating_point=operating_point,
    )
    losses = method.losses(step)
    return torch.stack(list(losses.values())).sum() if losses else None


def _keep(
    path: Path, network: Network, method: Method, optimiser: torch.optim.Optimizer, done: int
) -> None:
    states = {
        "done": done,
        "network": network.state_dict(),
        "method": method.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
    with whole_file(path) as temporary:
        torch.save(states, temporary)


def _resume(path: Path, network: Network, method: Method, optimiser: torch.optim.Optimizer) -> int:
    if not path.is_file():
        return 0
    try:
        states = read_checkpoint(path)
    except DamagedCheckpointError:  # some hundred steps: they are repeated
        return 0
    network.load_state_dict(states["network"])
    method.load_state_dict(states["method"])
    optimiser.load_state_dict(states["optimiser"])
    return int(states["done"])


def _patches(
    model: Model, unlabelled: Unlabelled, how: Adaptation, recipe: Recipe
) -> UnlabelledPatches:
    multiple = model.card.input.multiple_px
    return UnlabelledPatches(
        unlabelled,
        recipe.augment,
        length=max(how.steps * how.batch_size, 1),
        seed=how.seed,
        by="scanner",
        codes={},
        patch_px=-(-how.patch_px // multiple) * multiple,
        mpp=model.card.input.mpp,
        cache_mb=recipe.trainer.cache_mb,
    )


def _recipe(model: Model) -> Recipe:
    """Return the card's augmentation and radii as a recipe; defaults where it has none."""
    minimal: dict[str, Any] = {
        "name": model.card.name,
        "data": {"sources": [{"labels": "none"}], "split": {}},
        "network": {"kind": "compact", "mpp": model.card.input.mpp},
        "sampling": {"patches_per_epoch": 1},
    }
    recipe = with_present_names(model.card.recipe, file="card", warn=False)
    for section in ("augment", "validation"):
        if isinstance(recipe.get(section), dict):
            minimal[section] = {k: v for k, v in recipe[section].items() if v is not None}
    try:
        return parse_recipe(minimal)
    except RecipeError:  # the card is of another version
        return parse_recipe(
            {k: v for k, v in minimal.items() if k not in ("augment", "validation")}
        )


def _save(
    network: Network, model: Model, how: Adaptation, unlabelled: Unlabelled, out: Path
) -> Model:
    card = _card(model, how, unlabelled)
    onnx = None
    if model.onnx_path is not None:
        onnx = export_onnx(network, out / WORK_NAME / "model.onnx")
    part = out / WORK_NAME / "model"
    alone = card.model_copy(update={"second_stage": None, "atypical": None})  # it sees other pixels
    unfinished = save_model(part, alone, weights=network.state_dict(), onnx=onnx)
    described = describe_domains(unfinished, unlabelled.cases)
    if described is not None:
        # Statistics of the old network's features do not hold for the new one.
        card = card.model_copy(update={"domains": described})
    for other in (model.second_stage, model.atypical):
        if other is not None:
            shutil.copytree(other.folder, out / other.folder.name, dirs_exist_ok=True)
    return save_model(out, card, weights=network.state_dict(), onnx=onnx)


def _card(model: Model, how: Adaptation, unlabelled: Unlabelled) -> ModelCard:
    images = {
        "name": f"unlabelled images of {_scanner(unlabelled)}",
        "role": "unlabelled",
        "terms": "",
        "cases": len(unlabelled),
        "mitotic_figures": 0,
        "hard_negatives": 0,
        "scanners": [_scanner(unlabelled)],
    }
    threshold = model.card.threshold
    protocol = f"{threshold.protocol}; before the model was adapted to unlabelled images"
    return model.card.model_copy(
        update={
            "name": f"{model.card.name}, adapted to {_scanner(unlabelled)}",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "metaphase": __version__,
            "threshold": threshold.model_copy(update={"protocol": protocol, "f1": None}),
            "training_data": [*model.card.training_data, images],
            # The scores were those of other weights.
            "scores": CardScores({"adapted": _record(model, how, unlabelled)}),
            "domains": None,
            "seed": how.seed,
        }
    )


def _record(model: Model, how: Adaptation, unlabelled: Unlabelled) -> dict[str, Any]:
    return {
        "from": model.card.name,
        "from_id": model.id,
        "options": how.options.model_dump(mode="json"),
        "steps": 0 if how.options.method in _NO_STEPS else how.steps,
        "batch_size": how.batch_size,
        "patch_px": how.patch_px,
        "learning_rate": how.learning_rate,
        "seed": how.seed,
        "images": [case.id for case in unlabelled.cases],
        "masked_places": sum(len(boxes) for boxes in unlabelled.masked.values()),
    }


def _claim(work: Path, record: dict[str, Any]) -> None:
    """Keep the progress of the same adaptation; remove that of another."""
    path = work / "adaptation.json"
    text = json.dumps(record, indent=2, sort_keys=True)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    shutil.rmtree(work, ignore_errors=True)
    write_text(path, text)


def _finished(out: Path, model: Model, how: Adaptation, unlabelled: Unlabelled) -> Model:
    finished = load_model(out)
    if finished.card.scores.entries.get("adapted") != json.loads(
        json.dumps(_record(model, how, unlabelled))
    ):
        raise ModelFileError.of(
            out, "holds another model", way_out="choose another --out, or remove the folder"
        )
    return finished


def _scanner(unlabelled: Unlabelled) -> str:
    names = sorted({case.domain("scanner") for case in unlabelled.cases} - {"unknown"})
    return ", ".join(names) or "a scanner"
