"""The network for atypical figures, from a recipe: cross-validation by case, then all cases.

Every finished training is kept in ``checkpoints/atypical.ckpt``: an interrupted run resumes after
the last one and gives the same weights. The left-out logits are in ``atypical.csv``.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from metaphase.arrays import FloatArray, IntArray
from metaphase.csvfile import csv_text
from metaphase.evaluation.atypical import AtypicalScore, AtypicalScores
from metaphase.evaluation.bootstrap import RESAMPLES
from metaphase.figures import Label
from metaphase.files import whole_file, write_text
from metaphase.labels.dataset import Dataset
from metaphase.models.card import Atypical as CardAtypical
from metaphase.models.card import AtypicalScores as CardScores
from metaphase.models.modelfile import Model, load_network
from metaphase.models.networks import build_network
from metaphase.models.networks.window import WindowNetwork
from metaphase.training.atypical.calibration import Calibration, calibrate, nested_scores
from metaphase.training.atypical.features import Features, compute_features
from metaphase.training.atypical.figures import LabelledFigures, labelled_figures
from metaphase.training.atypical.fit import fit, logits_of
from metaphase.training.fit.checkpoints import DamagedCheckpointError, read_checkpoint
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import Atypical
from metaphase.training.runfolder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTOCOL = (
    "cross-validation by case; threshold and calibration of each fold from the left-out figures of "
    "the other folds"
)
SECOND_STAGE = "second stage"


@dataclass(frozen=True, slots=True, eq=False)
class TrainedAtypical:
    """The network that was trained on all cases, and what the cross-validation says of it."""

    network: WindowNetwork
    calibration: Calibration
    scores: AtypicalScores
    figures: int

    def for_card(self, settings: Atypical, chosen_on: str) -> CardAtypical:
        """Return the section of the model's card; its id is that of a network not yet written."""
        overall = self.scores.overall
        return CardAtypical(
            id="",
            threshold=self.calibration.threshold,
            symmetries=settings.symmetries,
            slope=self.calibration.slope,
            intercept=self.calibration.intercept,
            spread=self.calibration.spread,
            chosen_on=chosen_on,
            scores=CardScores(
                **_rates(overall),
                figures=overall.figures,
                atypical=overall.atypical,
                cases=overall.groups,
                protocol=PROTOCOL,
                scanners={
                    name: {**_rates(score), "figures": score.figures, "atypical": score.atypical}
                    for name, score in self.scores.domains.items()
                },
            ),
        )


def train_atypical(
    recipe: Recipe,
    model: Model,
    regions: Dataset,
    crops: Dataset,
    folder: RunFolder,
    *,
    show: bool,
) -> TrainedAtypical:
    """Train the network for atypical figures of a model. Raises RecipeError, LabelError."""
    settings = _settings(recipe)
    network = starting_network(recipe, model)
    figures = labelled_figures(regions, crops, settings, network.input)
    with _progress("atypical: features", show) as report:
        features = compute_features(network, figures, settings, recipe.augment, recipe.seed, report)
    run = AtypicalRun(recipe, model, figures, features, folder.atypical_checkpoint, show)
    fold = figures.folds(settings.folds)
    logits = run.left_out_logits(fold)
    write_text(folder.atypical_logits, _table(figures, fold, logits))
    truth, group = figures.atypical, figures.group
    scores = nested_scores(
        logits, truth, group, figures.scanner, fold, resamples=RESAMPLES, seed=recipe.seed
    )
    calibration = calibrate(logits, truth, group, recipe.seed)
    trained = run.trained(settings.folds, np.arange(len(figures)))
    return TrainedAtypical(trained, calibration, scores, len(figures))


def starting_network(recipe: Recipe, model: Model) -> WindowNetwork:
    """Return the network before its training: its body has the weights that the recipe names."""
    settings = _settings(recipe)
    torch.manual_seed(recipe.seed)
    weights, body = settings.weights, None
    if weights == SECOND_STAGE:
        body, weights = _second_stage_body(model, settings), "imagenet"
    options = {
        "backbone": settings.backbone,
        "mpp": settings.window_um / settings.window_px,
        "tile_px": settings.window_px,
        "strides": settings.strides,
        "dropout": settings.dropout,
        "trainable_backbone_layers": settings.trained_stages,
        "weights": weights,
    }
    network = build_network("window", options, (Label.MITOTIC,), pretrained=body is None)
    assert isinstance(network, WindowNetwork)
    if body is not None:
        wanted = network.body.state_dict()
        network.body.load_state_dict({name: body[name] for name in wanted})
    return network.to(memory_format=torch.channels_last).eval()


def _second_stage_body(model: Model, settings: Atypical) -> dict[str, torch.Tensor] | None:
    """Return the weights of the body of a model's second stage, None where they do not fit."""
    second = model.second_stage
    if second is None or second.weights_path is None:
        return None
    if second.card.network_options.get("backbone", "efficientnet_lite0") != settings.backbone:
        return None
    other = load_network(second)
    if not isinstance(other, WindowNetwork) or max(settings.strides) > max(other.settings.strides):
        return None  # it lacks stages that are used here
    return dict(other.body.state_dict())


@dataclass
class AtypicalRun:
    """The trainings of a run: one for each fold, and one on all figures."""

    recipe: Recipe
    model: Model
    figures: LabelledFigures
    features: Features
    checkpoint: Path
    show: bool

    def left_out_logits(self, fold: IntArray) -> FloatArray:
        """Return the logit [n] of each figure by the network that did not see its fold."""
        logits = np.zeros(len(fold))
        for number in np.unique(fold).tolist():
            network = self.trained(number, np.flatnonzero(fold != number))
            left_out = np.flatnonzero(fold == number)
            logits[left_out] = logits_of(network, self.features, left_out, _settings(self.recipe))
        return logits

    def trained(self, number: int, chosen: IntArray) -> WindowNetwork:
        """Return the network of a training, from the checkpoint where it is finished."""
        network = starting_network(self.recipe, self.model)
        states = self._states()
        if str(number) in states:
            network.load_state_dict(states[str(number)])
            return network.eval()
        settings, seed = _settings(self.recipe), self.recipe.seed + number
        title = f"atypical: training {number + 1} of {settings.folds + 1}"
        with _progress(title, self.show) as report:
            network = fit(network, self.features, self.figures, chosen, settings, seed, report)
        states[str(number)] = network.state_dict()
        with whole_file(self.checkpoint) as part:
            torch.save(states, part)
        return network

    def _states(self) -> dict[str, Any]:
        if not self.checkpoint.is_file():
            return {}
        try:
            return read_checkpoint(self.checkpoint, "cpu")
        except DamagedCheckpointError:  # each training takes minutes: they start anew
            return {}


def _settings(recipe: Recipe) -> Atypical:
    if recipe.atypical is None:
        raise ValueError("the recipe has no section [atypical]")
    return recipe.atypical


def _rates(score: AtypicalScore) -> dict[str, Any]:
    return {
        "balanced_accuracy": score.balanced_accuracy or 0.0,
        "auroc": score.auroc,
        "sensitivity": score.sensitivity or 0.0,
        "specificity": score.specificity or 0.0,
    }


def _table(figures: LabelledFigures, fold: IntArray, logits: FloatArray) -> str:
    columns = ("case", "scanner", "fold", "atypical", "logit")
    rows = zip(
        figures.group,
        figures.scanner,
        fold.tolist(),
        figures.share.tolist(),
        (f"{value:.5f}" for value in logits),
        strict=True,
    )
    return csv_text(columns, rows)


@contextmanager
def _progress(title: str, show: bool) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not show) as bar:
        task = bar.add_task(title, total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield report
