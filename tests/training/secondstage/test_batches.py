"""Which contexts a step sees."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from metaphase.training.recipe.sections import Augment, SecondStage
from metaphase.training.secondstage.batches import BatchSampler, with_border
from metaphase.training.secondstage.contexts import Contexts, Kind, Origin

STILL = Augment(strength=0.0)


def contexts(counts: dict[tuple[Kind, Origin], int]) -> Contexts:
    """Contexts whose first pixel is their number."""
    origins = tuple(dict.fromkeys(origin for _, origin in counts))
    kinds, numbers = [], []
    for (kind, origin), count in counts.items():
        kinds += [kind] * count
        numbers += [origins.index(origin)] * count
    pixels = np.zeros((len(kinds), 64, 64, 3), np.uint8)
    pixels[:, 0, 0, 0] = np.arange(len(kinds)) % 256
    target = np.array([kind == Kind.FIGURE for kind in kinds], np.float32)
    return Contexts(pixels, target, tuple(kinds), np.array(numbers), origins, 0.25)


A, B, CROPS = Origin("A", "a1", False), Origin("B", "b1", False), Origin("C", "c1", True)
MIXED = {
    (Kind.FIGURE, A): 16,
    (Kind.FIGURE, B): 4,
    (Kind.HARD_NEGATIVE, B): 5,
    (Kind.CANDIDATE, A): 30,
    (Kind.RANDOM, A): 10,
    (Kind.FIGURE, CROPS): 40,
    (Kind.CROP, CROPS): 40,
}


def drawn(sampler: BatchSampler, steps: int) -> tuple[Counter[tuple[bool, str]], int]:
    seen: Counter[tuple[bool, str]] = Counter()
    for step in range(steps):
        batch = sampler.batch(step)
        for target, origin in zip(batch.target, batch.origin, strict=True):
            seen[bool(target), sampler.contexts.origins[origin].scanner] += 1
    return seen, sum(seen.values())


def test_shares_are_those_of_the_settings() -> None:
    settings = SecondStage(figures=0.4, crops=0.5, crop_negatives=0.1, borders=0.0)
    seen, total = drawn(BatchSampler(contexts(MIXED), settings, STILL, seed=0), 120)
    figures = sum(count for (figure, _), count in seen.items() if figure)
    assert figures / total == pytest.approx(0.4, abs=0.02)
    assert seen[True, "C"] / figures == pytest.approx(0.5, abs=0.03)
    assert seen[False, "C"] / (total - figures) == pytest.approx(0.1, abs=0.02)
    # 16 figures of one scanner and 4 of another: by the root, two to one.
    assert seen[True, "A"] / seen[True, "B"] == pytest.approx(2, rel=0.15)


def test_a_kind_that_is_absent_leaves_its_share_to_the_others() -> None:
    counts = {(Kind.FIGURE, A): 3, (Kind.RANDOM, A): 3}
    seen, total = drawn(BatchSampler(contexts(counts), SecondStage(borders=0), STILL, seed=0), 5)
    assert total == 5 * SecondStage().batch_size
    assert seen[True, "A"] > 0
    assert seen[False, "A"] > 0


def test_a_step_is_the_same_whenever_it_is_drawn() -> None:
    first = BatchSampler(contexts(MIXED), SecondStage(), Augment(), seed=3)
    other = BatchSampler(contexts(MIXED), SecondStage(), Augment(), seed=3)
    first.batch(0)
    assert np.array_equal(first.batch(5).pixels, other.batch(5).pixels)
    assert not np.array_equal(first.batch(5).pixels, first.batch(6).pixels)


def test_a_border_mirrors_one_side_and_keeps_the_middle() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    for seed in range(20):
        changed = with_border(image, np.random.default_rng(seed), mpp=0.5)
        turned = [np.rot90(changed, -k) for k in range(4)]
        assert any(np.array_equal(t[:, :44], image[:, :44]) for t in turned)
        assert not any(np.array_equal(t, image) for t in turned)
