"""Training of the second stage's network, after the detector.

A plain loop of some minutes; its curve is in ``second.csv``. The state is kept in
``checkpoints/second.ckpt``: an interrupted run is resumed from it and gives the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from metaphase.arrays import FloatArray
from metaphase.csvfile import csv_text
from metaphase.detection.decode import logit
from metaphase.figures import Label
from metaphase.files import whole_file, write_text
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import Model
from metaphase.models.networks import Network
from metaphase.models.networks.ensemble import EnsembleNetwork
from metaphase.training.data.trainingdata import TrainingData
from metaphase.training.fit.checkpoints import DamagedCheckpointError, read_checkpoint
from metaphase.training.fit.optimiser import make_optimiser
from metaphase.training.fit.precision import autocast, uses_gpu
from metaphase.training.fit.schedule import make_schedule
from metaphase.training.fit.thresholdselection import detect_cases
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import CompactNetwork, Optimiser, SecondStage
from metaphase.training.runfolder import RunFolder
from metaphase.training.secondstage.batches import BatchSampler
from metaphase.training.secondstage.contexts import Contexts, collect_contexts
from metaphase.training.secondstage.variation import Colours, Variation
from metaphase.training.startnetwork import starting_network

_EVERY = 25
"""Steps between two rows of the log."""
_MEMBER_SEEDS = 1_000_000
"""Between the seeds of two members: more than the steps of a training."""
CHECKPOINT_STEPS = 100
"""Steps between two checkpoints."""


def train_second_stage(
    recipe: Recipe, detector: Model, data: TrainingData, folder: RunFolder, *, show: bool
) -> Network:
    """Return the trained network of the second stage, in evaluation mode on the CPU.

    ``detector`` is the finished detector. Its false candidates in the training regions are what
    the network learns to distinguish from figures.
    """
    settings = _settings(recipe)
    torch.manual_seed(recipe.seed)
    kind = "ensemble" if settings.members else "window"
    network = starting_network(kind, network_options(recipe), (Label.MITOTIC,))
    regions = regions_to_learn(settings, data.training)
    contexts = collect_contexts(
        regions,
        data.crops,
        _candidates(recipe, detector, regions, folder, show),
        settings,
        network.input,
        recipe.seed,
    )
    if not isinstance(network, EnsembleNetwork):
        return _train_network(recipe, settings, network, folder, contexts, show=show)
    for number, member in enumerate(network.members):
        assert isinstance(member, Network)
        network.members[number] = _train_network(
            recipe, settings, member, folder, contexts, member=number, show=show
        )
    return network.eval()


def _train_network(
    recipe: Recipe,
    settings: SecondStage,
    network: Network,
    folder: RunFolder,
    contexts: Contexts,
    *,
    show: bool,
    member: int = 0,
) -> Network:
    run = SecondStageRun.start(recipe, settings, network, folder, member)
    run.go(contexts, show=show)
    return run.finished()


def network_options(recipe: Recipe) -> dict[str, Any]:
    """Return what ``build_network`` takes as options of the second stage's network."""
    settings, first = _settings(recipe), recipe.network
    # Weights of another body do not fit this one.
    own = isinstance(first, CompactNetwork) and first.backbone == settings.backbone
    mpp = settings.window_um / settings.window_px
    parts = [
        {"crop_px": 2 * round(part.window_um / mpp / 2), "tile_px": part.window_px}
        for part in settings.members
    ]
    return {
        **({"members": parts} if parts else {}),
        "backbone": settings.backbone,
        "mpp": mpp,
        "tile_px": settings.window_px,
        "strides": settings.strides,
        "dropout": settings.dropout,
        "trainable_backbone_layers": settings.trainable_backbone_layers,
        "weights": settings.weights or (first.weights if own else "imagenet"),
    }


def regions_to_learn(settings: SecondStage, training: Dataset) -> Dataset:
    """Return the whole fields to learn from. Ids begin with the name of their source."""
    left_out = settings.without_sources
    return training.where(lambda case: case.id.partition("/")[0] not in left_out)


def _settings(recipe: Recipe) -> SecondStage:
    if recipe.second_stage is None:
        raise ValueError("the recipe asks for no second stage")
    return recipe.second_stage


def _candidates(
    recipe: Recipe, detector: Model, training: Dataset, folder: RunFolder, show: bool
) -> dict[str, FloatArray]:
    """Return the finished detector's candidates in the training regions, best first: [n, 2]."""
    lowest = _settings(recipe).min_score
    detections = detect_cases(detector, training, folder.candidates, min_score=lowest, show=show)
    return {name: one.with_label(Label.MITOTIC).points for name, one in detections.items()}


@dataclass
class SecondStageRun:
    """The training of a network: optimiser, schedule, average and progress."""

    recipe: Recipe
    settings: SecondStage
    network: Network
    average: AveragedModel
    optimiser: torch.optim.Optimizer
    schedule: Any
    device: torch.device
    folder: RunFolder
    member: int
    step: int
    rows: list[tuple[int, float, float]]

    @classmethod
    def start(
        cls,
        recipe: Recipe,
        settings: SecondStage,
        network: Network,
        folder: RunFolder,
        member: int = 0,
    ) -> SecondStageRun:
        """Begin a training, or resume it from its checkpoint.

        Members of an ensemble differ in their windows and their random numbers.
        """
        device = torch.device("cuda" if uses_gpu(recipe.trainer) else "cpu")
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        how = Optimiser(
            learning_rate=settings.learning_rate,
            backbone_factor=settings.backbone_factor,
            weight_decay=settings.weight_decay,
            warmup=settings.warmup,
        )
        optimiser = make_optimiser(network, how)
        run = cls(
            recipe,
            settings,
            network,
            AveragedModel(
                network, multi_avg_fn=get_ema_multi_avg_fn(settings.ema), use_buffers=True
            ),
            optimiser,
            make_schedule(optimiser, how, settings.windows // settings.batch_size),
            device,
            folder,
            member,
            0,
            [],
        )
        run._resume()
        return run

    def go(self, contexts: Contexts, *, show: bool) -> None:
        """Train to the end."""
        self.network.train()
        sampler = BatchSampler(contexts, self.settings, self.recipe.augment, self.seed)
        variation = Variation(
            Colours.of(contexts),
            self.recipe.augment,
            self.settings,
            mpp=contexts.mpp,
            window=self.network.input,
            origins=contexts.origins,
        )
        columns = (
            TextColumn("second stage"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
        )
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not show) as bar:
            task = bar.add_task("second stage", total=self.steps, completed=self.step)
            while self.step < self.steps:
                batch = sampler.batch(self.step)
                images = variation(batch.pixels, batch.origin, self._generator())
                self.learn(images, torch.from_numpy(batch.target))
                bar.update(task, completed=self.step)
                if self.step % CHECKPOINT_STEPS == 0 or self.step == self.steps:
                    self._keep()
        if show:
            console.print(f"second stage: {self.steps} steps, loss {self.rows[-1][1]:.3f}")

    @property
    def seed(self) -> int:
        """The member's own seed."""
        return self.recipe.seed + _MEMBER_SEEDS * self.member

    @property
    def steps(self) -> int:
        """Steps in all."""
        return max(1, self.settings.windows // self.settings.batch_size)

    def finished(self) -> Network:
        """Return the running mean of the network, its scores moved to the share in practice."""
        network = self.average.module
        assert isinstance(network, Network)
        shift = logit(self.settings.prior) - logit(self.settings.figures)
        with torch.no_grad():
            network.get_parameter("score.bias").add_(float(shift))
        return network.cpu().float().eval()

    def _generator(self) -> torch.Generator:
        """Return the random numbers of a step, the same in every run."""
        state = np.random.SeedSequence([self.seed, self.step]).generate_state(1)
        return torch.Generator().manual_seed(int(state[0]))

    def learn(self, images: torch.Tensor, target: torch.Tensor) -> None:
        """Take one step on windows [n, h, w, 3] with targets [n] from 0 to 1."""
        torch.manual_seed(self.seed + self.step)  # dropout
        images, target = images.to(self.device), target.to(self.device)
        with autocast(self.recipe.trainer, self.device):
            logits = self.network(images)[0]
        logits = logits.float().reshape(-1)
        loss = F.binary_cross_entropy_with_logits(logits, target)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.schedule.step()
        self.average.update_parameters(self.network)
        self.step += 1
        right = ((logits > 0) == (target > 0.5)).float().mean()
        if self.step % _EVERY == 0 or self.step == self.steps:
            self.rows.append((self.step, float(loss.detach()), float(right)))

    # --- state

    def _keep(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
            "rows": self.rows,
        }
        with whole_file(self.folder.second_stage_checkpoint(self.member)) as part:
            torch.save(state, part)
        rows = [(step, f"{loss:.5f}", f"{right:.4f}") for step, loss, right in self.rows]
        table = csv_text(("step", "loss", "right"), rows)
        write_text(self.folder.second_stage_metrics(self.member), table)

    def _resume(self) -> None:
        path = self.folder.second_stage_checkpoint(self.member)
        if not path.is_file():
            return
        try:
            state = read_checkpoint(path, self.device)
        except DamagedCheckpointError:  # this stage takes minutes: it starts anew
            return
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.step, self.rows = state["step"], [tuple(row) for row in state["rows"]]
