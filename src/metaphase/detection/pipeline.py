"""From tiles to candidates: reading, network and second stage, each ahead of the next.

The tiles of a plan are divided into groups of fixed size. Batches do not cross groups, and the
second stage scores the candidates of a group at a time. So a group gives the same numbers whatever
was computed before it, and neither the size of batches nor an interruption between two groups
changes anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np

from metaphase.arrays import IntArray, Pixels
from metaphase.detection.candidates import Candidates
from metaphase.detection.checkpoint import Checkpoint
from metaphase.detection.decode import TileCandidates, decode
from metaphase.detection.foreign.decode import decode_foreign
from metaphase.detection.imagestatistics import sample_tiles, to_row
from metaphase.detection.plan import Plan
from metaphase.detection.prefetch import prefetch
from metaphase.detection.runtime import open_runtime
from metaphase.detection.runtimebase import Maps, Runtime
from metaphase.detection.secondstage import CandidateClassifier, with_second_scores
from metaphase.models.card import ModelCard
from metaphase.models.modelfile import Model
from metaphase.slides.slide import Slide
from metaphase.units import area_mm2

GROUP_TILES = 16
"""Tiles in a group, and the most in a batch: one or two seconds of work on a slow core. What was
decoded of the slide for the tiles is still in memory when the second stage reads their
candidates."""

SAVE_EVERY_S = 2.0
"""Seconds of work after which the finished groups are saved: what a crash costs at most, beside the
group in work."""

_READERS = 2  # at least
_READ_AHEAD = 12  # tiles, beside those of a batch: 10 MB of 512 px tiles

Progress = Callable[[float, float], None]
"""Called with the mm2 that are done and the mm2 in all."""


class AreaProgress:
    """Adds up the area of the finished tiles and reports it."""

    def __init__(self, plan: Plan, mpp: float, report: Progress | None) -> None:
        areas = plan.area_px()
        self._area = dict(zip(plan.tiles.tolist(), areas.tolist(), strict=True))
        self._mm2 = area_mm2(1, 1, mpp)
        self._done, self._total = 0.0, float(areas.sum())
        self._report = report
        self.add([])

    def add(self, tiles: Iterable[int]) -> None:
        """Add tiles that are finished."""
        self._done += sum(self._area[int(number)] for number in tiles)
        if self._report is not None:
            self._report(min(self._done, self._total) * self._mm2, self._total * self._mm2)


def tile_groups(plan: Plan) -> list[IntArray]:
    """Return the tiles of a plan in groups of ``GROUP_TILES``."""
    return _split(plan.tiles, GROUP_TILES)


def find_candidates(
    slide: Slide,
    model: Model,
    plan: Plan,
    runtime: Runtime,
    *,
    batch: int | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
    sample: Collection[int] | None = None,
) -> Candidates:
    """Return the candidates of all tiles of a plan, not yet merged.

    Parts that the checkpoint has are not computed again. ``sample`` are the tiles whose statistics
    are measured on the way, for the domain shift (None: those of the plan, for a model that needs
    them; with more than one tile in a batch they are measured later).
    """
    size = batch or runtime.batch
    if sample is None:
        sample = sample_tiles(plan.tiles).tolist() if model.card.domains else ()
    measured = frozenset(sample if size == 1 else ())
    groups = tile_groups(plan)
    parts = {} if checkpoint is None else checkpoint.load(len(groups))
    area = AreaProgress(plan, slide.mpp, progress)
    done = {first + i for first, (count, _) in parts.items() for i in range(count)}
    area.add(number for group in sorted(done) for number in groups[group].tolist())
    missing = [number for number in range(len(groups)) if number not in done]
    results = {first: candidates for first, (_, candidates) in parts.items()}
    results |= _saved(
        _compute(slide, model, plan, runtime, size, [groups[i] for i in missing], area, measured),
        missing,
        checkpoint,
    )
    return Candidates.join(results[first] for first in sorted(results))


def decode_maps(maps: Maps, card: ModelCard, min_score: float) -> list[TileCandidates]:
    """Return the candidates of each tile of a batch, of our networks and of imported graphs."""
    if card.foreign is None:
        return decode(maps, card.head, min_score=min_score)
    return decode_foreign(maps, card.foreign, card.input.tile_px, min_score=min_score)


def candidates_of_tile(plan: Plan, number: int, found: TileCandidates) -> Candidates:
    """Return the candidates that a tile owns, in full-resolution pixels."""
    grid = plan.grid
    left, top = grid.corner(int(number))
    x, y = (left + found.x) * grid.scale, (top + found.y) * grid.scale
    keep = grid.keeps(int(number), x, y, plan.slack_px)
    # A candidate just outside of the image is a figure that the border cuts: move it to the border.
    x, y = np.clip(x, 0, grid.width_px), np.clip(y, 0, grid.height_px)
    rows = np.stack([x, y, found.score, found.label.astype(np.float64)], axis=1)
    return Candidates(rows[keep], int(found.capped))


def candidate_classifier(
    slide: Slide, plan: Plan, model: Model, runtime: Runtime
) -> CandidateClassifier | None:
    """Return the second stage for a slide, None for a model without one."""
    second, stage = model.second_stage, model.card.second_stage
    if second is None or stage is None:
        return None
    return CandidateClassifier(
        slide, stage, second, runtime.second_stage or open_runtime(second), plan.stain
    )


def _compute(
    slide: Slide,
    model: Model,
    plan: Plan,
    runtime: Runtime,
    size: int,
    groups: list[IntArray],
    area: AreaProgress,
    measured: frozenset[int],
) -> Generator[Candidates, None, None]:
    """Yield the candidates of each group. Three stages run side by side in threads."""
    if not groups:
        return
    scale, side, streams = plan.grid.scale, plan.grid.tile, runtime.streams

    def read(number: int) -> Pixels:
        x, y = plan.grid.corner(number)
        return slide.read(x * scale, y * scale, side, side, plan.mpp)

    def run(batch: tuple[IntArray, Pixels]) -> Candidates:
        numbers, tiles = batch
        maps = runtime.run(tiles)
        decoded = decode_maps(maps, model.card, plan.min_score)
        pairs = zip(numbers, decoded, strict=True)
        candidates = Candidates.join(candidates_of_tile(plan, n, found) for n, found in pairs)
        if int(numbers[0]) not in measured:
            return candidates
        return replace(candidates, statistics=to_row(int(numbers[0]), tiles[0], maps)[None])

    def collect() -> Iterator[Candidates]:
        for group in groups:
            parts = []
            for numbers in _split(group, size):
                parts.append(next(found))
                area.add(numbers.tolist())
            yield Candidates.join(parts)

    numbers = (number for group in groups for number in group.tolist())
    pixels = prefetch(
        read, numbers, workers=max(_READERS, streams), depth=streams * size + _READ_AHEAD
    )
    batches = (
        (part, np.stack([next(pixels) for _ in part]))
        for group in groups
        for part in _split(group, size)
    )
    found = prefetch(run, batches, workers=streams, depth=2 * streams)
    classifier = candidate_classifier(slide, plan, model, runtime)
    score = partial(with_second_scores, merge_radius_px=plan.merge_radius_px, classifier=classifier)
    scored = prefetch(score, collect(), workers=1, depth=2)
    with closing(pixels), closing(found), closing(scored):
        yield from scored


def _saved(
    computed: Generator[Candidates, None, None], numbers: list[int], checkpoint: Checkpoint | None
) -> dict[int, Candidates]:
    """Return the candidates by their first group, and save them every few seconds.

    A part holds consecutive groups only.
    """
    results: dict[int, Candidates] = {}
    pending: list[Candidates] = []
    saved_at = time.monotonic()
    with closing(computed):
        for i, (number, candidates) in enumerate(zip(numbers, computed, strict=True)):
            pending.append(candidates)
            last = i + 1 == len(numbers) or numbers[i + 1] != number + 1
            if last or time.monotonic() - saved_at >= SAVE_EVERY_S:
                first = number + 1 - len(pending)
                results[first] = Candidates.join(pending)
                if checkpoint is not None:
                    checkpoint.save(first, len(pending), results[first])
                pending, saved_at = [], time.monotonic()
    return results


def _split(tiles: IntArray, size: int) -> list[IntArray]:
    return [tiles[i : i + size] for i in range(0, len(tiles), size)]
