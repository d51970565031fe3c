from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from metaphase.boxes import as_boxes
from metaphase.labels.dataset import Case, Dataset
from metaphase.training.adapt.unlabelled import (
    UnlabelledPatches,
    collate_pairs,
    unlabelled_loader,
)
from metaphase.training.data.trainingdata import Unlabelled
from metaphase.training.recipe.sections import Augment, Fourier
from tests.training.helpers import write_image

CODES = {"A": 0, "B": 1}
LENGTH = 6


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder: Path = tmp_path_factory.mktemp("unlabelled")
    return Dataset(
        Case(
            f"u{number}",
            image=write_image(folder / f"u{number}.png", 200, 160, number),
            mpp=0.25,
            scanner="ABN"[number],
            labelled=False,
        )
        for number in range(3)
    )


def patches(
    cases: Dataset, settings: Augment | None = None, **options: object
) -> UnlabelledPatches:
    values = {
        "length": LENGTH,
        "seed": 4,
        "by": "scanner",
        "codes": CODES,
        "patch_px": 48,
        "mpp": 0.25,
        **options,
    }
    masked = values.pop("masked", {})
    unlabelled = Unlabelled(cases, masked)  # type: ignore[arg-type]
    return UnlabelledPatches(unlabelled, settings or Augment(), **values)  # type: ignore[arg-type]


def test_a_patch_is_a_function_of_seed_epoch_and_index(cases: Dataset) -> None:
    first, second, other = patches(cases), patches(cases), patches(cases, seed=5)
    order = [(1, 3), (0, 0), (1, 2)]
    for epoch, index in order:
        a, b = first.pair(epoch, index), second.pair(epoch, index)
        assert a.plain.spec == b.plain.spec
        assert np.array_equal(a.varied, b.varied)
        assert a.plain.spec != other.pair(epoch, index).plain.spec
    assert first.pair(0, 1).plain.spec != first.pair(1, 1).plain.spec


def test_the_epoch_is_part_of_the_index(cases: Dataset) -> None:
    source = patches(cases)
    assert len(source) == LENGTH
    assert source[2 * LENGTH + 1].plain.spec == source.pair(2, 1).plain.spec


def test_both_images_show_the_same_place(cases: Dataset) -> None:
    """Without colour changes they are equal; with them they are not."""
    still = patches(cases, Augment(strength=0.0, mpp_jitter=0.0))
    moving = patches(cases, Augment(strength=2.0, mpp_jitter=0.0))
    differ = 0
    for index in range(LENGTH):
        plain, varied = still[index].plain.image, still[index].varied
        assert np.array_equal(plain, varied)
        differ += not np.array_equal(moving[index].plain.image, moving[index].varied)
        # What is taken from the slide does not depend on how strongly it is varied.
        assert np.array_equal(moving[index].plain.image, plain)
    assert differ >= LENGTH - 1


def test_a_patch_has_the_code_of_its_domain(cases: Dataset) -> None:
    """A domain without a code is -1."""
    codes = {patches(cases).pair(0, i).plain.domain for i in range(30)}
    assert codes == {0, 1, -1}
    scanners = {"u0": 0, "u1": 1, "u2": -1}
    for index in range(LENGTH):
        patch = patches(cases).pair(0, index).plain
        assert patch.domain == scanners[patch.spec.case_id]


def test_masks_move_with_the_pixels(cases: Dataset) -> None:
    masked = {case.id: as_boxes([[0, 0, 200, 80]]) for case in cases}
    source = patches(cases, masked=masked, patch_px=150)
    assert any(len(source.pair(0, index).plain.ignore) for index in range(LENGTH))
    for index in range(LENGTH):
        patch = source.pair(0, index).plain
        for x1, y1, x2, y2 in patch.ignore.clip(0, 150).round().astype(int):
            inside = patch.image[y1:y2, x1:x2].reshape(-1, 3)
            assert np.ptp(inside, axis=0).max() <= 1  # filled with one colour


def test_patches_of_other_cases_may_vary_a_patch(cases: Dataset) -> None:
    mixing = Augment(
        strength=1.0, mpp_jitter=0.0, fourier=Fourier(probability=1.0, beta=0.1, amount=1.0)
    )
    pair = patches(cases, mixing)[0]
    assert pair.varied.shape == pair.plain.image.shape
    assert not np.array_equal(pair.varied, pair.plain.image)


def test_patches_for_the_end_of_a_run_come_in_batches(cases: Dataset) -> None:
    source = patches(cases)
    batches = list(source.draw(7, batch=3))
    assert [tuple(batch.shape) for batch in batches] == [
        (3, 48, 48, 3),
        (3, 48, 48, 3),
        (1, 48, 48, 3),
    ]
    assert all(batch.dtype == torch.uint8 for batch in batches)
    again = list(source.draw(7, batch=7))
    assert torch.equal(torch.cat(batches), again[0])
    assert list(source.draw(0)) == []


def test_a_batch_has_both_images_and_the_targets(cases: Dataset) -> None:
    source = patches(cases)
    batch = collate_pairs([source[0], source[1]])
    assert batch.images.shape == batch.varied.shape == (2, 48, 48, 3)
    assert [int(t["domain"]) for t in batch.targets] == [source[i].plain.domain for i in (0, 1)]
    assert all(t["ignore"].shape == (0, 4) for t in batch.targets)
    assert np.array_equal(batch.images[1].numpy(), source[1].plain.image)


def test_a_loader_gives_whole_batches_of_every_epoch(cases: Dataset) -> None:
    source = patches(cases)
    loader = unlabelled_loader(source, batch_size=4)
    (batch,) = list(loader)  # the last two of six are left
    assert len(batch.images) == 4
    loader.sampler.set_epoch(1)
    (later,) = list(loader)
    assert np.array_equal(later.images[0].numpy(), source[LENGTH].plain.image)


def test_devices_share_an_epoch(cases: Dataset) -> None:
    source = patches(cases)
    seen = [
        image.numpy().tobytes()
        for rank in (0, 1)
        for batch in unlabelled_loader(source, batch_size=3, rank=rank, world=2)
        for image in batch.images
    ]
    assert sorted(seen) == sorted(source[i].plain.image.tobytes() for i in range(LENGTH))
