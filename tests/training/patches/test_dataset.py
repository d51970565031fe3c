from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import SplitError
from metaphase.figures import Label
from metaphase.labels.dataset import Case
from metaphase.training.patches.dataset import (
    CaseTargets,
    EpochIndices,
    SlidePool,
    collate,
    patch_dataset,
    patch_loader,
)
from metaphase.training.patches.sampling import PatchSpec, save_mined
from tests.training.helpers import figure, make_recipe, small_dataset


@pytest.fixture
def dataset(tmp_path):
    return small_dataset(tmp_path).labelled()


def patches(dataset, **sections):
    return patch_dataset(make_recipe(**sections), dataset)


PLAIN = {"symmetries": False, "mpp_jitter": 0.0, "strength": 0.0}


# --- targets


@given(
    x=st.floats(-200, 200),
    y=st.floats(-200, 200),
    mpp=st.sampled_from([0.25, 0.2, 0.5]),
)
def test_targets_lie_where_the_figures_are(x, y, mpp):
    figures = tuple(figure(i, 40 * i, 30 * i) for i in range(6))
    targets = CaseTargets(Case("a", figures=figures), 0.25)
    points, boxes, labels, ignore = targets.inside(PatchSpec("a", x, y, 64, mpp, "random"))
    expected = [
        ((f.x_px - x) * 0.25 / mpp, (f.y_px - y) * 0.25 / mpp)
        for f in figures
        if 0 <= (f.x_px - x) * 0.25 / mpp < 64 and 0 <= (f.y_px - y) * 0.25 / mpp < 64
    ]
    np.testing.assert_allclose(points, np.reshape(expected, (-1, 2)), atol=1e-9)
    np.testing.assert_allclose((boxes[:, :2] + boxes[:, 2:]) / 2, points, atol=1e-9)
    assert len(labels) == len(points)
    for box in ignore:
        assert (box[:2] < 64).all()
        assert (box[2:] > 0).all()


def test_a_figure_that_is_cut_is_ignored_not_denied():
    targets = CaseTargets(Case("a", figures=(figure(1, 70, 30), figure(2, 300, 30))), 0.25)
    points, _, _, ignore = targets.inside(PatchSpec("a", 0, 0, 64, 0.25, "random"))
    assert len(points) == 0
    assert ignore.tolist() == [[45, 5, 95, 55]]


def test_boxes_are_the_labels_own_unless_asked_otherwise():
    case = Case("a", figures=(figure(1, 40, 40, side=30), replace(figure(2, 20, 20), box=None)))
    spec = PatchSpec("a", 0, 0, 64, 0.25, "random")
    own = CaseTargets(case, 0.25).inside(spec)[1]
    asked = CaseTargets(case, 0.25, box_um=10).inside(spec)[1]
    assert (own[:, 2] - own[:, 0]).tolist() == [30, 50]
    assert (asked[:, 2] - asked[:, 0]).tolist() == [40, 40]


def test_hard_negatives_have_their_code(dataset):
    all_labels = {label for i in range(12) for label in patches(dataset)[i].labels.tolist()}
    assert all_labels == {Label.MITOTIC.code, Label.HARD_NEGATIVE.code}


# --- pixels


@pytest.mark.parametrize("cache_mb", [0, 100])
def test_a_patch_is_the_pixels_of_its_place(dataset, cache_mb):
    data = patches(dataset, augment=PLAIN, trainer={"cache_mb": cache_mb})
    for index in range(len(data)):
        patch = data[index]
        assert patch.image.shape == (64, 64, 3)
        assert patch.image.dtype == np.uint8
        # The picture's red is x, its green y (see helpers.write_image).
        assert patch.image[0, :, 0].tolist() == [
            (int(patch.spec.x_px) + i) % 256 for i in range(64)
        ]
        assert patch.image[:, 0, 1].tolist() == [
            (int(patch.spec.y_px) + i) % 256 for i in range(64)
        ]


def test_the_cache_changes_nothing(dataset):
    jitter = {"augment": {"mpp_jitter": 0.2}}
    with_cache = patches(dataset, trainer={"cache_mb": 100}, **jitter)
    without = patches(dataset, trainer={"cache_mb": 0}, **jitter)
    for index in range(12):
        assert np.array_equal(with_cache[index].image, without[index].image)


def test_points_follow_the_pixels_through_the_symmetries(dataset):
    settings = PLAIN | {"symmetries": True}
    data = patches(dataset, augment=settings, sampling={"patches_per_epoch": 40})
    places = {case.id: [(f.x_px, f.y_px) for f in case.figures] for case in dataset}
    seen = 0
    for index in range(40):
        patch = data[index]
        for x, y in patch.points:
            # Undo nothing: the pixel under the point tells its own place in the image.
            red, green = patch.image[int(y), int(x), :2].tolist()
            truth = places[patch.spec.case_id]
            assert any(abs(red - fx) <= 1 and abs(green - fy) <= 1 for fx, fy in truth)
            seen += 1
    assert seen > 10


def test_the_same_index_gives_the_same_patch(dataset):
    first, again = patches(dataset), patches(dataset)
    for index in (0, 5, 12 + 5):
        assert np.array_equal(first[index].image, again[index].image)
    assert not np.array_equal(first[5].image, first[12 + 5].image)


def test_unlabelled_cases_are_refused(tmp_path):
    with pytest.raises(SplitError, match="unlabelled"):
        patches(small_dataset(tmp_path))


# --- slides


def test_a_pool_keeps_few_slides_open(dataset):
    pool = SlidePool({case.id: case for case in dataset}, limit=2)
    first = pool["a"]
    assert pool["a"] is first
    pool["b"]
    pool["a"]
    pool["c"]  # b was unused for longest
    assert pool["a"] is first
    assert len(pool._open) == 2
    pool.close()
    assert pool["a"].read(0, 0, 4, 4).shape == (4, 4, 3)


def test_a_pool_arrives_empty_where_it_is_sent(dataset):
    pool = SlidePool({case.id: case for case in dataset})
    pool["a"]
    sent = pickle.loads(pickle.dumps(pool))
    assert len(sent._open) == 0
    assert np.array_equal(sent["a"].read(3, 4, 8, 8), pool["a"].read(3, 4, 8, 8))


# --- hard negatives mined on the way


def test_what_was_mined_serves_from_its_epoch_on(dataset, tmp_path):
    only_hard = {"shares": {"mitotic": 0.0, "hard_negative": 1.0, "random": 0.0}}
    data = patches(dataset.select(["c"]), sampling=only_hard, augment=PLAIN)
    data.mined_folder = tmp_path / "mined"
    save_mined(data.mined_file(2), {"c": [(20.0, 140.0)]})
    save_mined(data.mined_file(4), {"c": [(180.0, 20.0)]})

    def reach(epoch, x, y):
        s = [data.sampler_at(epoch).spec(epoch, i) for i in range(len(data))]
        return any(p.x_px <= x <= p.x_px + 64 and p.y_px <= y <= p.y_px + 64 for p in s)

    assert [reach(epoch, 20, 140) for epoch in (0, 1, 2, 3, 4)] == [0, 0, 1, 1, 0]
    assert [reach(epoch, 180, 20) for epoch in (0, 3, 4, 9)] == [0, 0, 1, 1]
    assert len(data.sampler.cases[0].mined) == 0


def test_without_a_folder_nothing_is_mined(dataset):
    data = patches(dataset)
    assert data.sampler_at(3) is data.sampler
    with pytest.raises(ValueError, match="mined_folder"):
        data.mined_file(3)


# --- devices and workers


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


def epochs_of(data, workers):
    loader = patch_loader(data, batch_size=5, workers=workers)
    found = []
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        found.append(
            [(i.numpy().tobytes(), [t["points"].tolist() for t in ts]) for i, ts in loader]
        )
    return found


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
