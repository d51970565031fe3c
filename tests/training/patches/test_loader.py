from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.training.patches.dataset import patch_dataset
from metaphase.training.patches.loader import EpochIndices, collate, patch_loader
from tests.training.helpers import make_recipe, small_dataset


@pytest.fixture
def dataset(tmp_path):
    return small_dataset(tmp_path).labelled()


def patches(dataset, **sections):
    return patch_dataset(make_recipe(**sections), dataset)


def epochs_of(data, workers):
    loader = patch_loader(data, batch_size=5, workers=workers)
    found = []
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        found.append(
            [(i.numpy().tobytes(), [t["points"].tolist() for t in ts]) for i, ts in loader]
        )
    return found


@given(
    length=st.integers(1, 50),
    world=st.integers(1, 5),
    epoch=st.integers(0, 3),
)
def test_devices_share_an_epoch_without_overlap(length, world, epoch):
    parts = [list(EpochIndices(length, rank=r, world=world, epoch=epoch)) for r in range(world)]
    assert len({len(part) for part in parts}) == 1
    everyone = [index for part in parts for index in part]
    assert all(epoch * length <= index < (epoch + 1) * length for index in everyone)
    if world <= length:
        assert len(set(everyone)) == len(everyone)
        assert len(everyone) > length - world


def test_patches_become_a_batch(dataset):
    torch = pytest.importorskip("torch")
    data = patches(dataset)
    images, targets = collate([data[i] for i in range(4)])
    assert images.shape == (4, 64, 64, 3)
    assert images.dtype == torch.uint8
    for i, target in enumerate(targets):
        assert target["points"].dtype == target["boxes"].dtype == torch.float32
        assert target["labels"].dtype == torch.int64
        assert target["points"].shape == (len(data[i].points), 2)
        assert target["boxes"].shape == (len(data[i].points), 4)
        assert target["ignore"].shape[1:] == (4,)


def test_workers_change_nothing(dataset):
    pytest.importorskip("torch")
    data = patches(dataset)
    alone, helped = epochs_of(data, 0), epochs_of(data, 2)
    assert alone == helped
    assert alone[0] != alone[1]
    assert len(alone[0]) == 2  # 12 patches: the rest of 2 waits for nobody


def test_an_epoch_smaller_than_a_batch_is_one_batch(dataset):
    pytest.importorskip("torch")
    loader = patch_loader(patches(dataset, sampling={"patches_per_epoch": 3}), batch_size=5)
    assert [len(images) for images, _ in loader] == [3]
