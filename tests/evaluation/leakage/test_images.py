import numpy as np
import pytest
from PIL import Image

from metaphase.errors import SplitError
from metaphase.evaluation.leakage.images import (
    difference_hash,
    refuse_shared_images,
    shared_images,
    shared_tiles,
)
from metaphase.labels.dataset import Case, Dataset


def tissue(seed, side=1100):
    """Return soft random texture, uint8 [side, side, 3]."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(60, 240, (side // 20, side // 20, 3), dtype=np.uint8))
    return small.resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture
def cases(tmp_path):
    images = {"a": tissue(1), "b": tissue(2), "c": tissue(3)}
    copy = images["a"].point(lambda v: min(255, int(v * 0.9 + 15)))
    paths = {}
    for name, image in images.items():
        paths[name] = tmp_path / f"{name}.png"
        image.save(paths[name])
    paths["copy"] = tmp_path / "copy.jpg"
    copy.save(paths["copy"], quality=50)
    return {name: Case(name, image=path, mpp=0.5) for name, path in paths.items()}


def test_a_recompressed_and_recoloured_copy_is_found(cases):
    alike = shared_images([cases["a"], cases["b"]], [cases["c"], cases["copy"]])
    assert [(pair.first, pair.second) for pair in alike] == [("a", "copy")]
    assert alike[0].share > 0.8


def test_a_split_with_an_image_on_two_sides_is_refused(cases):
    parts = {
        "training": Dataset([cases["a"], cases["b"]]),
        "test": Dataset([cases["copy"], cases["c"]]),
    }
    with pytest.raises(SplitError, match="case a: has the same pixels as case copy in test"):
        refuse_shared_images(parts)
    refuse_shared_images({"training": Dataset([cases["b"]]), "test": parts["test"]})


def test_cases_without_an_image_are_left_out():
    assert shared_images([Case("x")], [Case("y")]) == []


def test_background_has_no_hash():
    assert difference_hash(np.full((64, 64, 3), 240, np.uint8)) is None
    assert shared_tiles(np.zeros((0, 128), np.float32), np.zeros((3, 128), np.float32)) == 0


@pytest.mark.needs_data
def test_real_fields_are_all_different(data_dir):
    from metaphase.labels.read import load_dataset

    fields = load_dataset(data_dir / "icpr2012" / "annotations.json").cases[:8]
    alike = shared_images(fields[:4], fields)
    assert [(pair.first, pair.second) for pair in alike] == [(c.id, c.id) for c in fields[:4]]
