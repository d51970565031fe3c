"""Hard-negative mining: false positives of the network during training.

Only regions whose every mitotic figure is labelled provide true negatives, and most of their pixels
are easy. At the epochs that a recipe names, the network is run on all training regions. Its false
positives are hard negatives for the epochs that follow ("bootstrapping", Sung and Poggio 1994; for
mitosis Ciresan et al. 2013).
"""

from __future__ import annotations

import pytorch_lightning as pl
import torch

from metaphase.boxes import distances
from metaphase.figures import Label, points_of
from metaphase.training.fit.regionvalidation import detect_regions
from metaphase.training.patches.dataset import PatchDataset
from metaphase.training.patches.minedplaces import save_mined
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.runfolder import RunFolder


class Mining(pl.Callback):
    """Writes ``mined/epoch-N.csv`` before epoch N; the patches of epoch N and later use it."""

    def __init__(self, recipe: Recipe, patches: PatchDataset, folder: RunFolder) -> None:
        self.recipe = recipe
        self.patches = patches
        self.epochs = {round(part * recipe.trainer.epochs) for part in recipe.sampling.mine_at}
        patches.mined_folder = folder.mined

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Mine at the epochs of the recipe; a resumed run uses the file that exists."""
        epoch = trainer.current_epoch
        path = self.patches.mined_file(epoch)
        if epoch in self.epochs and trainer.is_global_zero and not path.is_file():
            save_mined(path, self.mine(pl_module))
        trainer.strategy.barrier("mining")

    def mine(self, module: pl.LightningModule) -> dict[str, list[tuple[float, float]]]:
        """Return the false positives of the network on every training region."""
        cases = self.patches.dataset
        network = module.network
        training = network.training
        random = torch.get_rng_state()
        found = detect_regions(
            network.eval(), self.recipe, cases, min_score=self.recipe.sampling.mine_score
        )
        torch.set_rng_state(random)
        network.train(training)
        radius = self.recipe.data.ignore_radius_um
        places: dict[str, list[tuple[float, float]]] = {}
        for case in cases:
            detections = found[case.id].with_label(Label.MITOTIC)
            points = detections.points
            truth = points_of(case.figures)
            if len(truth) and len(points):
                near = distances(points, truth).min(axis=1) * detections.provenance.mpp <= radius
                points = points[~near]
            places[case.id] = [(float(x), float(y)) for x, y in points]
        return places
