from __future__ import annotations

import numpy as np
import pytest

from metaphase.errors import SplitError
from metaphase.figures import Label
from metaphase.training.patches.dataset import patch_dataset
from metaphase.training.patches.minedplaces import save_mined
from tests.training.helpers import make_recipe, small_dataset


@pytest.fixture
def dataset(tmp_path):
    return small_dataset(tmp_path).labelled()


def patches(dataset, **sections):
    return patch_dataset(make_recipe(**sections), dataset)


PLAIN = {"symmetries": False, "mpp_jitter": 0.0, "strength": 0.0}


# --- targets


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
