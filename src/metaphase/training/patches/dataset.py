"""Patches of pixels with what is in them, for PyTorch's DataLoader but without PyTorch.

The epoch is part of the index: item ``epoch * len(patches) + i`` is patch i of that epoch. Workers
hold no state that could fall behind, so they can live through all epochs. ``EpochIndices`` gives
the indices; ``patch_loader`` puts everything together.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from metaphase.boxes import around, as_boxes, as_points
from metaphase.labels.dataset import Case, Dataset
from metaphase.slides.slide import Slide
from metaphase.training.patches.augment import Float, Partner, augment
from metaphase.training.patches.pixelcache import DecodedSlide, DecodedStore
from metaphase.training.patches.sampling import (
    AUGMENT,
    PatchSpec,
    Sampler,
    load_mined,
    rng_for,
    sampling_case,
)
from metaphase.training.recipe.anchors import DEFAULT_BOX_UM
from metaphase.training.recipe.sections import Augment

if TYPE_CHECKING:
    from metaphase.training.patches.compose import Composer
    from metaphase.training.patches.slidestains import SlideStains
    from metaphase.training.patches.unlabelledplaces import Places, Unlabelled
    from metaphase.training.recipe.recipe import Recipe

Pixels = NDArray[np.uint8]
FloatArray = NDArray[np.float64]
OPEN_SLIDES = 16
"""Slides that one worker keeps open."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A patch and its figures, in patch pixels.

    image: uint8 [size, size, 3]; points: float [n, 2]; boxes: float [n, 4]; labels: int [n] (codes
    of ``Label``); ignore: float [m, 4], boxes of figures whose centre lies outside but which reach
    in, where nothing should be learnt. domain: a code of the domain that it is from, -1 where it is
    composed of several or nobody asked.
    """

    image: Pixels
    points: FloatArray
    boxes: FloatArray
    labels: NDArray[np.int64]
    ignore: FloatArray
    spec: PatchSpec
    domain: int = -1


class CaseTargets:
    """The figures of a case as arrays, in full-resolution pixels."""

    def __init__(self, case: Case, mpp: float, box_um: float | None = None) -> None:
        side = (box_um or DEFAULT_BOX_UM) / mpp
        self.mpp = mpp
        self.points = as_points([(f.x_px, f.y_px) for f in case.figures])
        own = [f.box if f.box and not box_um else None for f in case.figures]
        squares = around(self.points, side)
        self.boxes = as_boxes([b or square for b, square in zip(own, squares, strict=True)])
        self.labels = np.array([f.label.code for f in case.figures], dtype=np.int64)

    def inside(
        self, spec: PatchSpec
    ) -> tuple[FloatArray, FloatArray, NDArray[np.int64], FloatArray]:
        """Return points, boxes, labels of what is centred in the patch; boxes that reach in."""
        scale = self.mpp / spec.mpp
        corner = np.array([spec.x_px, spec.y_px])
        points = (self.points - corner) * scale
        boxes = (self.boxes - np.tile(corner, 2)) * scale
        size = spec.patch_px
        within = ((points >= 0) & (points < size)).all(axis=1)
        reach = (boxes[:, :2] < size).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
        return points[within], boxes[within], self.labels[within], boxes[reach & ~within]


class SlidePool:
    """Slides that are open, at most ``limit``; the one unused for longest is closed first.

    Each process opens its own: a pool that is sent to a worker arrives with none open. Images that
    were decoded beforehand (``decode_small``) are shared.
    """

    def __init__(self, cases: Mapping[str, Case], limit: int = OPEN_SLIDES) -> None:
        self._cases = cases
        self._limit = limit
        self._open: OrderedDict[str, Slide] = OrderedDict()
        self._decoded: dict[str, DecodedSlide] = {}
        self._store: DecodedStore | None = None

    def __getitem__(self, case_id: str) -> Slide:
        if case_id in self._decoded:
            return self._decoded[case_id]
        if case_id in self._open:
            self._open.move_to_end(case_id)
        else:
            from metaphase.slides.open import open_case

            while len(self._open) >= self._limit:
                self._open.popitem(last=False)[1].close()
            self._open[case_id] = open_case(self._cases[case_id])
        return self._open[case_id]

    def decode_small(self, limit_mb: int) -> None:
        """Decode small images once for all workers, as many as ``limit_mb`` holds."""
        if limit_mb <= 0:
            return
        self._store = self._store or DecodedStore(limit_mb)
        for case_id in self._cases:
            if case_id not in self._decoded and (slide := self._store.decode(self[case_id])):
                self._decoded[case_id] = slide
                self._open.pop(case_id).close()

    def close(self) -> None:
        """Close all that are open; they open again when they are needed."""
        while self._open:
            self._open.popitem()[1].close()

    def __getstate__(self) -> dict[str, Any]:
        # The store stays where it is: it deletes its files when it goes.
        return self.__dict__ | {"_open": OrderedDict(), "_store": None}


class PatchDataset:
    """All patches of all epochs. ``len`` is the patches of one epoch; any index >= 0 is served.

    Where ``mined_folder`` is set, ``mined_file(n)`` holds hard negatives that were mined before
    epoch n; an epoch adds those of the latest such file to what the sampler knows.
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
        """Codes of domains by case id, for methods that tell domains apart."""
        self.partners: Partners | None = None
        """Where augmentation takes patches of other domains from."""
        self.stains: SlideStains | None = None
        """The stains of slides, where augmentation asks for them."""
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
        """Return a patch as it is on the slide."""
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

    places: Places
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
    stains: Float | None,
) -> Patch:
    together = np.concatenate([patch.boxes, patch.ignore])
    partner = None if partners is None else partners.of(patch)
    image, points, boxes = augment(
        patch.image, patch.points, together, settings, rng, partner, stains
    )
    known = len(patch.boxes)
    return replace(patch, image=image, points=points, boxes=boxes[:known], ignore=boxes[known:])


class EpochIndices:
    """The indices that one of ``world`` devices reads in an epoch; a sampler for DataLoader.

    Lightning calls ``set_epoch`` before each epoch. Every device gets as many as the others.
    """

    def __init__(self, length: int, *, rank: int = 0, world: int = 1, epoch: int = 0) -> None:
        self.length, self.rank, self.world, self.epoch = length, rank, world, epoch

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return max(self.length // self.world, 1)

    def __iter__(self) -> Iterator[int]:
        start = self.epoch * self.length
        for step in range(len(self)):
            yield start + (step * self.world + self.rank) % self.length


def collate(patches: Sequence[Patch]) -> tuple[Any, list[dict[str, Any]]]:
    """Return images (uint8 tensor [n, size, size, 3]) and a target a patch, for a network."""
    import torch

    images = torch.from_numpy(np.stack([patch.image for patch in patches]))
    targets = [
        {
            "points": torch.from_numpy(patch.points).float(),
            "boxes": torch.from_numpy(patch.boxes).float(),
            "labels": torch.from_numpy(patch.labels),
            "ignore": torch.from_numpy(patch.ignore).float(),
            "domain": torch.tensor(patch.domain),
        }
        for patch in patches
    ]
    return images, targets


def patch_dataset(
    recipe: Recipe,
    dataset: Dataset,
    crops: Dataset | None = None,
    unlabelled: Unlabelled | None = None,
) -> PatchDataset:
    """Return the patches of a recipe over its training cases, with crops composed into some.

    The look of unlabelled cases is taken where augmentation takes anything of other domains.
    """
    from metaphase.training.patches.slidestains import slide_stains

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
    if settings.strength == 0 or (settings.restain is None and settings.fourier is None):
        return None
    from metaphase.training.patches.unlabelledplaces import Places, domain_of

    by = settings.partner_by or recipe.sampling.balance_by
    cases = Dataset([*dataset, *(unlabelled.cases if unlabelled else ())], name=dataset.name)
    places = Places(
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
    from metaphase.training.patches.compose import Composer
    from metaphase.training.patches.crops import Crops

    sampling, box_um = recipe.sampling, recipe.data.box_um
    return Composer(Crops(crops, box_um=box_um, balance_cases=sampling.balance_cases), sampling)


def patch_loader(
    patches: PatchDataset,
    *,
    batch_size: int,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    pin_memory: bool = False,
) -> Any:
    """Return a DataLoader of (images, targets). Its ``sampler.set_epoch`` moves on."""
    from torch.utils.data import DataLoader

    return DataLoader(
        patches,  # type: ignore[arg-type]  # it has all that a map-style dataset needs
        batch_size=batch_size,
        sampler=EpochIndices(len(patches), rank=rank, world=world),
        collate_fn=collate,
        drop_last=len(patches) // world >= batch_size,
        pin_memory=pin_memory,
        **worker_options(workers),
    )


def worker_options(workers: int) -> dict[str, Any]:
    """Return what DataLoader is told of its worker processes.

    They come from a fork server: a clean process, so that no lock or thread of this one is copied
    into them, and they live through all epochs.
    """
    if workers == 0:
        return {"num_workers": 0}
    return {
        "num_workers": workers,
        "multiprocessing_context": _context(),
        "persistent_workers": True,
        "prefetch_factor": 4,
    }


def _context() -> Any:
    import multiprocessing

    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "metaphase.training.patches.dataset"])
    return context
