"""Groups of tiles: parts of any size, saved at any moment, give the same candidates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.arrays import Pixels
from metaphase.detection import pipeline
from metaphase.detection.candidates import Candidates
from metaphase.detection.checkpoint import Checkpoint
from metaphase.detection.decode import TileCandidates
from metaphase.detection.pipeline import (
    GROUP_TILES,
    AreaProgress,
    candidates_of_tile,
    find_candidates,
    tile_groups,
)
from metaphase.detection.plan import Settings, make_plan
from metaphase.detection.runtimebase import Maps
from tests.detection.scenes import DotRuntime, DotSlide, make_model

MODEL = make_model()
SLIDE = DotSlide(1000, 900, 0.25, np.random.default_rng(0).uniform(20, 880, (60, 2)))
PLAN = make_plan(SLIDE, MODEL, Settings())


def find(**options: object) -> Candidates:
    return find_candidates(SLIDE, MODEL, PLAN, DotRuntime(MODEL.card.head), **options)


def test_groups_hold_all_tiles() -> None:
    groups = tile_groups(PLAN)
    assert np.array_equal(np.concatenate(groups), PLAN.tiles)
    assert {len(group) for group in groups[:-1]} == {GROUP_TILES}


@pytest.mark.parametrize(("batch", "most"), [(1, 1), (5, 5), (16, 16), (40, GROUP_TILES)])
def test_batches_lie_inside_of_groups(batch: int, most: int) -> None:
    sizes = []

    class Counted(DotRuntime):
        def run(self, tiles: Pixels) -> Maps:
            sizes.append(len(tiles))
            return super().run(tiles)

    find_candidates(SLIDE, MODEL, PLAN, Counted(MODEL.card.head), batch=batch)
    full, rest = divmod(GROUP_TILES, most)
    assert max(sizes) == most
    assert sizes[: full + bool(rest)] == [most] * full + [rest] * bool(rest)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.booleans(), min_size=14, max_size=14))
def test_any_finished_parts_give_the_same_candidates(
    tmp_path_factory: pytest.TempPathFactory, finished: list[bool]
) -> None:
    whole = find()
    groups = tile_groups(PLAN)
    assert len(groups) == len(finished)
    checkpoint = Checkpoint(tmp_path_factory.mktemp("c"), "x")
    for number, group in enumerate(groups):
        if finished[number]:
            part = find_candidates(SLIDE, MODEL, _part(group), DotRuntime(MODEL.card.head), batch=4)
            checkpoint.save(number, 1, part)
    runtime = DotRuntime(MODEL.card.head)
    again = find_candidates(SLIDE, MODEL, PLAN, runtime, batch=4, checkpoint=checkpoint)
    assert np.array_equal(again.rows, whole.rows)
    left = sum(len(g) for g, done in zip(groups, finished, strict=True) if not done)
    assert runtime.tiles == left


def _part(tiles: np.ndarray) -> pipeline.Plan:
    from metaphase.detection.daskexecutor import part_of_plan

    return part_of_plan(PLAN, tiles)


def test_how_often_it_is_saved_changes_the_parts_and_not_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    results = []
    for name, every in (("often", 0.0), ("once", 1e9)):
        monkeypatch.setattr(pipeline, "SAVE_EVERY_S", every)
        checkpoint = Checkpoint(tmp_path / name, "x")
        results.append(find(checkpoint=checkpoint))
        counts.append(len(list((tmp_path / name).glob("*.npz"))))
    assert counts == [len(tile_groups(PLAN)), 1]
    assert np.array_equal(results[0].rows, results[1].rows)


def test_a_slow_computer_loses_one_group_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(np.arange(0, 1e6, 3.0))  # every look at the clock is three seconds later
    monkeypatch.setattr(pipeline.time, "monotonic", lambda: next(clock))

    class Killed(DotRuntime):
        def run(self, tiles: np.ndarray) -> list[np.ndarray]:
            if self.tiles >= 100:
                raise KeyboardInterrupt
            return super().run(tiles)

    checkpoint = Checkpoint(tmp_path / "c", "x")
    with pytest.raises(KeyboardInterrupt):
        find_candidates(SLIDE, MODEL, PLAN, Killed(MODEL.card.head), batch=4, checkpoint=checkpoint)
    saved = sum(count for count, _ in checkpoint.load(len(PLAN.tiles)).values())
    assert saved >= 100 // GROUP_TILES - 3  # what is ahead in the second stage is not finished
    assert saved >= 2


def test_a_tile_keeps_what_it_owns_and_moves_what_the_border_cuts() -> None:
    corner = TileCandidates(
        np.array([-1.0, 40.0, 127.0]), np.array([5.0, 40.0, 40.0]), np.ones(3), np.zeros(3, np.int8)
    )
    kept = candidates_of_tile(PLAN, 0, corner)
    assert kept.rows[:, :2].tolist() == [[0, 5], [40, 40]]


def test_progress_is_the_area_of_finished_tiles() -> None:
    calls: list[tuple[float, float]] = []
    area = AreaProgress(PLAN, SLIDE.mpp, lambda done, total: calls.append((done, total)))
    area.add(PLAN.tiles[:10].tolist())
    area.add(PLAN.tiles[10:].tolist())
    assert calls[0][0] == 0
    assert calls[-1][0] == pytest.approx(calls[-1][1]) == pytest.approx(0.25 * 0.225)
    assert 0 < calls[1][0] < calls[-1][0]
