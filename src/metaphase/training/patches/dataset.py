"""Patches of pixels with what is in them, for PyTorch's DataLoader but without PyTorch.

The epoch is part of the index: item ``epoch * len(patches) + i`` is patch i of that epoch. Workers
hold no state that could be out of date, so they can live through all epochs. ``loader.py`` puts
patches into batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from metaphase.arrays import Float32Array, Pixels
from metaphase.labels.dataset import Dataset
from metaphase.training.data.trainingdata import Unlabelled
from metaphase.training.patches.augment import Partner, augment
from metaphase.training.patches.compose import Composer
from metaphase.training.patches.crops import Crops
from metaphase.training.patches.minedplaces import load_mined
from metaphase.training.patches.patch import CaseTargets, Patch, SlidePool
from metaphase.training.patches.sampling import AUGMENT, PatchSpec, Sampler, rng_for, sampling_case
from metaphase.training.patches.slidestains import SlideStains, slide_stains
from metaphase.training.patches.unlabelledplaces import TissuePlaces, domain_of
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import Augment


class PatchDataset:
    """All patches of all epochs. ``len`` is the patches of one epoch; any index >= 0 is served.

    Where ``mined_folder`` is set, ``mined_file(n)`` has the hard negatives that were mined before
    epoch n; an epoch uses those of the latest file in addition to the sampler's.
    """

    def __init__(
        self,
        dataset: Dataset,
        sampler: Sampler,
        settings: Augment | None,
        *,
        slides: SlidePool | None = None,
        box_um: float | None = None,
        composer: Composer | None = None,
    ) -> None:
        cases = {case.id: dataset[case.id] for case in sampler.cases}
        self.dataset = dataset
        self.sampler = sampler
        self.settings = settings
        self.composer = composer
        self.slides = slides or SlidePool(cases)
        self.mined_folder: Path | None = None
        self.domain_codes: dict[str, int] = {}
        """Codes of domains by case id, for methods of domain adaptation."""
        self.partners: Partners | None = None
        """Patches of other domains for augmentation."""
        self.stains: SlideStains | None = None
        """The stains of slides, where augmentation needs them."""
        self._targets = {
            case.id: CaseTargets(cases[case.id], case.mpp, box_um) for case in sampler.cases
        }
        self._latest: tuple[int, Sampler] = (-1, sampler)

    def __len__(self) -> int:
        return len(self.sampler)

    def __getitem__(self, index: int) -> Patch:
        epoch, index = divmod(int(index), len(self))
        sampler = self.sampler_at(epoch)
        patch = self.composer and self.composer.patch(sampler, epoch, index, self.read)
        stains = None
        if not patch:
            patch = self.read(sampler.spec(epoch, index))
            patch = replace(patch, domain=self.domain_codes.get(patch.spec.case_id, -1))
            stains = self.stains[patch.spec.case_id] if self.stains else None
        if self.settings is None:
            return patch
        rng = rng_for(self.sampler.seed, epoch, index, AUGMENT)
        return _augmented(patch, self.settings, rng, self.partners, stains)

    def read(self, spec: PatchSpec) -> Patch:
        """Return a patch without augmentation."""
        size = spec.patch_px
        image = self.slides[spec.case_id].read(spec.x_px, spec.y_px, size, size, spec.mpp)
        return Patch(image, *self._targets[spec.case_id].inside(spec), spec)

    def mined_file(self, epoch: int) -> Path:
        """Return where the hard negatives are that were mined before an epoch."""
        if self.mined_folder is None:
            raise ValueError("this run mines nothing: mined_folder is not set")
        return self.mined_folder / f"epoch-{epoch:05d}.csv"

    def sampler_at(self, epoch: int) -> Sampler:
        """Return the sampler of an epoch: with what was mined before it."""
        if self.mined_folder is None:
            return self.sampler
        if self._latest[0] != epoch:
            names = [path.name for path in self.mined_folder.glob("epoch-*.csv")]
            known = [name for name in sorted(names) if name <= self.mined_file(epoch).name]
            mined = load_mined(self.mined_folder / known[-1]) if known else {}
            self._latest = epoch, self.sampler.with_mined(mined)
        return self._latest[1]


@dataclass(frozen=True, slots=True, eq=False)
class Partners:
    """Patches of other domains. ``domains`` are the names of cases' domains by id."""

    places: TissuePlaces
    domains: Mapping[str, str]

    def of(self, patch: Patch) -> Partner:
        """Return what draws a partner for a patch."""
        own = self.domains.get(patch.spec.case_id)

        def draw(rng: np.random.Generator) -> Pixels | None:
            other = self.places.draw(rng, other_than=own)
            return None if other is None else other.image

        return draw


def _augmented(
    patch: Patch,
    settings: Augment,
    rng: np.random.Generator,
    partners: Partners | None,
    stains: Float32Array | None,
) -> Patch:
    together = np.concatenate([patch.boxes, patch.ignore])
    partner = None if partners is None else partners.of(patch)
    image, points, boxes = augment(
        patch.image, patch.points, together, settings, rng, partner, stains
    )
    known = len(patch.boxes)
    return replace(patch, image=image, points=points, boxes=boxes[:known], ignore=boxes[known:])


def patch_dataset(
    recipe: Recipe,
    dataset: Dataset,
    crops: Dataset | None = None,
    unlabelled: Unlabelled | None = None,
) -> PatchDataset:
    """Return the patches of a recipe over its training cases, with crops composed into some.

    Unlabelled cases are partners of steps of augmentation that use patches of other domains.
    """
    mined = load_mined(recipe.sampling.mined) if recipe.sampling.mined else {}
    slides = SlidePool({case.id: case for case in dataset})
    by = recipe.sampling.balance_by
    cases = []
    for case in dataset:
        slide = slides[case.id]
        cases.append(
            sampling_case(
                case,
                width_px=slide.width_px,
                height_px=slide.height_px,
                mpp=slide.mpp,
                domain="" if by == "none" else case.domain(by),
                mined=mined.get(case.id),
                ignore_radius_um=recipe.data.ignore_radius_um,
            )
        )
    slides.decode_small(recipe.trainer.cache_mb)
    slides.close()
    sampler = Sampler(
        cases,
        recipe.sampling,
        mpp=recipe.network.mpp,
        mpp_jitter=recipe.augment.mpp_jitter,
        seed=recipe.seed,
    )
    patches = PatchDataset(
        dataset,
        sampler,
        recipe.augment,
        slides=slides,
        box_um=recipe.data.box_um,
        composer=_composer(recipe, crops),
    )
    patches.partners = _partners(recipe, dataset, unlabelled)
    patches.stains = slide_stains(recipe.augment, slides)
    return patches


def _partners(recipe: Recipe, dataset: Dataset, unlabelled: Unlabelled | None) -> Partners | None:
    settings = recipe.augment
    if settings.strength == 0 or (settings.stain_transfer is None and settings.fourier is None):
        return None
    by = settings.partner_by or recipe.sampling.balance_by
    cases = Dataset([*dataset, *(unlabelled.cases if unlabelled else ())], name=dataset.name)
    places = TissuePlaces(
        cases,
        by=by,
        patch_px=recipe.sampling.patch_px,
        mpp=recipe.network.mpp,
        masked=unlabelled.masked if unlabelled else None,
        cache_mb=recipe.trainer.cache_mb,
    )
    return Partners(places, {case.id: domain_of(case, by) for case in cases})


def _composer(recipe: Recipe, crops: Dataset | None) -> Composer | None:
    if not crops or recipe.sampling.crops_share == 0:
        return None
    sampling, box_um = recipe.sampling, recipe.data.box_um
    return Composer(Crops(crops, box_um=box_um, balance_cases=sampling.balance_cases), sampling)
