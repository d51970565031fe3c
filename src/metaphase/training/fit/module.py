"""The training step, and the validation after an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch

from metaphase.models.networks import Network
from metaphase.training.adapt.base import Method, Step, UnlabelledBatch, maps_and_features
from metaphase.training.fit.optimiser import make_optimiser
from metaphase.training.fit.regionvalidation import RegionScorer, Scored
from metaphase.training.fit.schedule import make_schedule
from metaphase.training.fit.thresholdcurves import log_sweep
from metaphase.training.recipe.recipe import Recipe

Batch = tuple[torch.Tensor, list[dict[str, torch.Tensor]]]


class DetectorModule(pl.LightningModule):
    """A network that is trained on patches and validated on whole regions.

    After each validation, ``self.scored`` holds the score and its threshold, and ``self.scorer``
    the detections of every case.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        *,
        steps: int,
        scorer: RegionScorer,
        methods: Sequence[Method] = (),
    ) -> None:
        super().__init__()
        self.methods = torch.nn.ModuleList(methods)
        self.network = network.to(memory_format=torch.channels_last)
        self.recipe = recipe
        self.steps = steps
        self.scorer = scorer
        self.scored: Scored | None = None

    def training_step(self, batch: Batch | dict[str, Any], index: int) -> torch.Tensor:
        """Return the loss of one batch of patches; methods of ``[adapt]`` change it or add to it.

        Where they use unlabelled patches, the batch is a table of "labelled" and "unlabelled".
        """
        images, targets = batch["labelled"] if isinstance(batch, dict) else batch
        if not self.methods:
            losses = self.network.loss(self.network(images), targets)  # type: ignore[arg-type]
        else:
            unlabelled = batch["unlabelled"] if isinstance(batch, dict) else None
            losses = self._adapted(images, targets, unlabelled)
        total = torch.stack(list(losses.values())).sum()
        self._log("train", total, losses, len(images))
        return total

    def _adapted(
        self,
        images: torch.Tensor,
        targets: list[dict[str, torch.Tensor]],
        unlabelled: UnlabelledBatch | None,
    ) -> dict[str, torch.Tensor]:
        maps, features = maps_and_features(self.network, images)
        step = Step(
            network=self.network,
            images=images,
            targets=targets,
            maps=maps,
            features=features,
            losses=self.network.loss(maps, targets),  # type: ignore[arg-type]
            unlabelled=unlabelled,
            progress=min(self.global_step / max(self.steps, 1), 1.0),
            operating_point=self.scored.threshold if self.scored else 0.5,
        )
        for method in self._methods():
            step.losses = method.losses(step)
        return step.losses

    def _methods(self) -> Iterator[Method]:
        return (cast(Method, method) for method in self.methods)

    def on_train_batch_end(self, *rest: Any) -> None:
        """Call the methods of ``[adapt]``."""
        for method in self._methods():
            method.after_step(self.network)

    def validation_step(self, batch: tuple[Any, ...], index: int) -> None:
        """Compute loss and candidates of one batch of tiles of the fixed grid."""
        images, targets, tiles = batch
        maps = self.network(images)
        losses = self.network.loss(maps, targets)
        total = torch.stack(list(losses.values())).sum()
        self._log("validation", total, losses, len(images))
        self.scorer.add([m.float().cpu().numpy() for m in maps], tiles)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed what is random in the network by the step, so that a resumed run is the same."""
        place = [self.recipe.seed, self.current_epoch, batch_idx, self.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    def on_validation_epoch_start(self) -> None:
        """Drop the detections of the last epoch."""
        self.scorer.reset()

    def on_validation_epoch_end(self) -> None:
        """Score all cases at their best threshold; the final threshold is chosen after training."""
        self.scorer.gather()
        if self.trainer.sanity_checking:
            return
        self.scored = self.scorer.score()
        values = {f"validation/{name}": value for name, value in self.scored.values().items()}
        self.log_dict(values, rank_zero_only=False, sync_dist=False)
        if self.trainer.is_global_zero and self.scorer.curve is not None:
            log_sweep(self.trainer.loggers, self.scorer.curve, self.trainer.global_step)

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule."""
        trained = torch.nn.ModuleDict({"network": self.network, "methods": self.methods})
        optimiser = make_optimiser(trained, self.recipe.optimiser)
        schedule = make_schedule(optimiser, self.recipe.optimiser, self.steps)
        every = self.recipe.optimiser.schedule_step
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": every, "name": "learning_rate"},
        }

    def _log(
        self, stage: str, total: torch.Tensor, losses: dict[str, torch.Tensor], size: int
    ) -> None:
        values = {f"{stage}/loss": total.detach()}
        values |= {f"{stage}/loss_{name}": loss.detach() for name, loss in losses.items()}
        self.log_dict(
            values, on_step=False, on_epoch=True, batch_size=size, sync_dist=True, prog_bar=False
        )
