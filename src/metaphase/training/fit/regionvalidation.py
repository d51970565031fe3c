"""Validation of a network in training on whole regions.

The tiles, the decoding and the merging are those of detection, so that an epoch's detections are
those that the finished model would have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from metaphase.arrays import Pixels
from metaphase.detection.candidates import Candidates
from metaphase.detection.decode import decode
from metaphase.detection.detect import merge_candidates
from metaphase.detection.pipeline import candidates_of_tile, find_candidates
from metaphase.detection.plan import Plan, Settings, make_plan
from metaphase.detection.runtimebase import Maps, Runtime
from metaphase.evaluation.curves import Curve
from metaphase.evaluation.evaluate import Scores, evaluate
from metaphase.evaluation.thresholds import choose_threshold
from metaphase.figures import Detections
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import Model
from metaphase.models.networks import Network
from metaphase.provenance import Provenance
from metaphase.slides.slide import Slide
from metaphase.training.fit.card import network_card
from metaphase.training.fit.precision import autocast
from metaphase.training.patches.loader import collate
from metaphase.training.patches.patch import CaseTargets, Patch, SlidePool
from metaphase.training.patches.sampling import PatchSpec
from metaphase.training.recipe.recipe import Recipe

TileOf = tuple[str, int]
"""A case's id and the number of a tile of its grid."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of an epoch over all validation cases, at the threshold that is best for them."""

    f1: float
    precision: float
    recall: float
    threshold: float
    worst_f1: float | None = None
    """F1 of the worst domain, where ``trainer.worst_of`` names a kind of them."""

    def values(self) -> dict[str, float]:
        """Return the scores by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class Regions:
    """Cases with their open slides and detection plans."""

    def __init__(self, recipe: Recipe, network: Network, cases: Dataset) -> None:
        self.cases = cases
        self.model = Model(network_card(recipe, network), Path(), "")
        self.slides = SlidePool({case.id: case for case in cases}, limit=max(1, len(cases)))
        # Tiles of one size: a batch holds tiles of several cases.
        self.settings = Settings(min_score=recipe.validation.min_score, fit_tiles=False)
        self._plans: dict[str, Plan] = {}

    def plan(self, case_id: str) -> Plan:
        """Return the plan of a case."""
        if case_id not in self._plans:
            self._plans[case_id] = make_plan(self.slides[case_id], self.model, self.settings)
        return self._plans[case_id]

    def detections(self, case_id: str, found: Candidates) -> Detections:
        """Merge the candidates of a case's tiles."""
        return merge_candidates(
            found, self.plan(case_id), _provenance(self.slides[case_id], self.model)
        )


class GridTiles:
    """All tiles of the grids over some cases, with their targets: a map-style data set."""

    def __init__(self, recipe: Recipe, network: Network, cases: Dataset) -> None:
        self.regions = Regions(recipe, network, cases)
        self._tiles: list[TileOf] = []
        self._targets: dict[str, CaseTargets] = {}
        for case in cases:
            mpp = self.regions.slides[case.id].mpp
            self._targets[case.id] = CaseTargets(case, mpp, recipe.data.box_um)
            plan = self.regions.plan(case.id)
            self._tiles += [(case.id, int(number)) for number in plan.tiles]

    def __len__(self) -> int:
        return len(self._tiles)

    def __getitem__(self, index: int) -> tuple[Patch, TileOf]:
        case_id, number = self._tiles[index]
        plan = self.regions.plan(case_id)
        x, y = plan.grid.corner(number)
        scale, side = plan.grid.scale, plan.grid.tile
        spec = PatchSpec(case_id, x * scale, y * scale, side, plan.mpp, "random")
        image = self.regions.slides[case_id].read(spec.x_px, spec.y_px, side, side, plan.mpp)
        patch = Patch(image, *self._targets[case_id].inside(spec), spec)
        return patch, (case_id, number)


def collate_tiles(
    items: Sequence[tuple[Patch, TileOf]],
) -> tuple[Any, list[dict[str, Any]], list[TileOf]]:
    """Return images, targets and which tiles they are."""
    images, targets = collate([patch for patch, _ in items])
    return images, targets, [tile for _, tile in items]


class RegionScorer:
    """Collects the candidates of an epoch in the validation cases, and scores them."""

    def __init__(self, recipe: Recipe, network: Network, cases: Dataset) -> None:
        self.recipe = recipe
        self.regions = Regions(recipe, network, cases)
        self.detections: dict[str, Detections] = {}
        self.curve: Curve | None = None
        self._found: dict[str, list[Candidates]] = defaultdict(list)

    def reset(self) -> None:
        """Drop everything that was collected."""
        self._found.clear()
        self.detections = {}

    def add(self, maps: list[NDArray[np.float32]], tiles: Sequence[TileOf]) -> None:
        """Add the candidates in the output maps of some tiles."""
        head = self.regions.model.card.head
        candidates = decode(maps, head, min_score=self.regions.settings.min_score)
        for (case_id, number), found in zip(tiles, candidates, strict=True):
            self._found[case_id].append(
                candidates_of_tile(self.regions.plan(case_id), number, found)
            )

    def gather(self) -> None:
        """Join the candidates of several processes: afterwards each process has all."""
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return
        everyone: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(everyone, dict(self._found))
        self._found.clear()
        for part in everyone:
            for case_id, found in part.items():
                self._found[case_id] += found

    def score(self) -> Scored:
        """Merge, match and score at the best threshold; ``curve`` has all of them."""
        cases = self.regions.cases
        self.detections = {
            case.id: self.regions.detections(case.id, Candidates.join(self._found[case.id]))
            for case in cases
        }
        radius_um = self.recipe.validation.radius_um
        threshold = choose_threshold(self.detections, cases, radius_um=radius_um)[0]
        scores = evaluate(self.detections, cases, radius_um=radius_um, threshold=threshold)
        self.curve = scores.curve
        return Scored(
            f1=_number(scores.f1),
            precision=_number(scores.precision),
            recall=_number(scores.recall),
            threshold=threshold,
            worst_f1=self._worst(scores),
        )

    def _worst(self, scores: Scores) -> float | None:
        """Return the F1 of the worst domain; a domain without figures has none."""
        by = self.recipe.trainer.worst_of
        if by is None:
            return None
        known = [g.f1 for g in scores.domains.get(by, {}).values() if g.f1 is not None]
        return min(known) if known else _number(scores.f1)


class NetworkRuntime(Runtime):
    """Runs a network in training, on its device, in the precision of the trainer."""

    name = "network in training"
    batch = 4

    def __init__(self, network: Network, recipe: Recipe) -> None:
        self._network = network
        self._trainer = recipe.trainer
        self._device = next(network.parameters()).device

    @torch.inference_mode()
    def run(self, tiles: Pixels) -> Maps:
        """Return the output maps for tiles [n, h, w, 3]."""
        with autocast(self._trainer, self._device):
            maps = self._network(torch.from_numpy(tiles).to(self._device))
        return [m.float().cpu().numpy() for m in maps]


def detect_regions(
    network: Network, recipe: Recipe, cases: Dataset, *, min_score: float
) -> dict[str, Detections]:
    """Return the detections of a network in whole regions, by case id. It stays on its device."""
    regions = Regions(recipe, network, cases)
    regions.slides = SlidePool({case.id: case for case in cases}, limit=1)
    runtime = NetworkRuntime(network, recipe)
    detections = {}
    for case in cases:
        slide = regions.slides[case.id]
        plan = replace(regions.plan(case.id), min_score=min_score)
        candidates = find_candidates(slide, regions.model, plan, runtime)
        detections[case.id] = regions.detections(case.id, candidates)
    return detections


def _provenance(slide: Slide, model: Model) -> Provenance:
    return Provenance(
        image=slide.path.name,
        width_px=slide.width_px,
        height_px=slide.height_px,
        mpp=slide.mpp,
        mpp_source=slide.mpp_source,
        model=model.card.name,
        threshold=model.card.threshold.value,
    )


def _number(value: float | None) -> float:
    """Return a score for a curve: one that is undefined counts as 0 there."""
    return 0.0 if value is None or np.isnan(value) else float(value)
