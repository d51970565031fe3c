"""The methods of a recipe's ``[adapt]`` in a training run, with their unlabelled patches."""

from __future__ import annotations

import warnings
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import CombinedLoader

from metaphase.errors import RecipeError
from metaphase.models.networks import Network
from metaphase.training.adapt.base import Method, Setting
from metaphase.training.adapt.options import AdaptOptions
from metaphase.training.adapt.registry import find_method
from metaphase.training.adapt.unlabelled import UnlabelledPatches, unlabelled_loader
from metaphase.training.data.trainingdata import Unlabelled
from metaphase.training.patches.dataset import PatchDataset
from metaphase.training.patches.unlabelledplaces import domain_of
from metaphase.training.recipe.anchors import DEFAULT_BOX_UM
from metaphase.training.recipe.recipe import Recipe


class Adapting:
    """The methods of a run with their unlabelled patches. Without ``[adapt]`` it does nothing.

    Raises RecipeError where a method lacks what it needs.
    """

    def __init__(
        self,
        recipe: Recipe,
        network: Network,
        patches: PatchDataset,
        unlabelled: Unlabelled | None,
    ) -> None:
        self.recipe = recipe
        self.options = recipe.adapt or ()
        self.methods: list[Method] = []
        self.unlabelled: UnlabelledPatches | None = None
        if not self.options:
            return
        kinds = [find_method(options.method) for options in self.options]
        usable = unlabelled if unlabelled and len(unlabelled) else None
        unmet = [kind.name for kind in kinds if kind.unlabelled == "needed" and not usable]
        if unmet:
            raise RecipeError.of(
                "recipe",
                f"{', '.join(unmet)} needs unlabelled cases, and there are none",
                record="adapt",
                way_out="name them in data.split.unlabelled",
            )
        by = common_by(recipe, self.options)
        cases = [*patches.dataset.select([c.id for c in patches.sampler.cases])]
        others = list(usable.cases) if usable else []
        names = tuple(dict.fromkeys(domain_of(case, by) for case in [*cases, *others]))
        codes = {name: code for code, name in enumerate(names)}
        patches.domain_codes = {case.id: codes[domain_of(case, by)] for case in cases}
        if usable and any(kind.unlabelled != "unused" for kind in kinds):
            share = max(options.unlabelled_share for options in self.options)
            self.batch_size = max(1, round(share * recipe.trainer.batch_size))
            self.unlabelled = UnlabelledPatches(
                usable,
                recipe.augment,
                length=self.batch_size * max(1, len(patches) // recipe.trainer.batch_size),
                seed=recipe.seed,
                by=by,
                codes=codes,
                patch_px=recipe.sampling.patch_px,
                mpp=recipe.network.mpp,
                cache_mb=recipe.trainer.cache_mb,
            )
        setting = setting_of(recipe, network, names, len(others))
        self.methods = [
            kind(options, setting) for kind, options in zip(kinds, self.options, strict=True)
        ]

    def with_unlabelled(self, labelled: Any, trainer: pl.Trainer) -> Any:
        """Return the loader of a run: of labelled patches, or of labelled and unlabelled ones."""
        if self.unlabelled is None:
            return labelled
        loader = unlabelled_loader(
            self.unlabelled,
            batch_size=self.batch_size,
            workers=min(self.recipe.trainer.workers, 1),
            rank=trainer.global_rank,
            world=trainer.world_size,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)  # of Lightning itself
            return CombinedLoader({"labelled": labelled, "unlabelled": loader}, "min_size")

    def finish(self, network: Network) -> None:
        """Call the methods with the final weights."""
        draw = self.unlabelled.draw if self.unlabelled else None
        for method in self.methods:
            method.finish(network, draw)


def setting_of(
    recipe: Recipe, network: Network, domains: tuple[str, ...], unlabelled: int
) -> Setting:
    """Return what the methods of a recipe get before the first step."""
    return Setting(
        network=network,
        domains=domains,
        unlabelled=unlabelled,
        box_um=recipe.data.box_um or DEFAULT_BOX_UM,
        merge_radius_um=recipe.validation.merge_radius_um,
    )


def common_by(recipe: Recipe, options: tuple[AdaptOptions, ...]) -> str:
    """Return the kind of domain that all methods of a run use. Raises RecipeError."""
    named = {o.by for o in options if o.by is not None}
    if len(named) > 1:
        raise RecipeError.of(
            "recipe",
            f"methods use different kinds of domains: {', '.join(sorted(named))}",
            record="adapt.by",
            way_out="name one kind of domain for all",
        )
    if named:
        return named.pop()
    by = recipe.sampling.balance_by
    return "scanner" if by == "none" else by
