from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from metaphase.errors import SplitError
from metaphase.evaluation.leakage.crops import find_crops, refuse_shared_crops
from metaphase.labels.dataset import Case, Dataset
from metaphase.phantom.region import render_region
from metaphase.phantom.scanners import SCANNERS


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Two fields of the same scanner, and crops of 128 px cut from the first and from a third."""
    folder = tmp_path_factory.mktemp("fields")
    fields = [render_region([seed], 700, 640, SCANNERS[0])[0] for seed in range(3)]
    cases = []
    for name, pixels in zip("ab", fields, strict=False):
        Image.fromarray(pixels).save(folder / f"{name}.png")
        cases.append(Case(name, image=folder / f"{name}.png", mpp=0.25))

    def crop(name, pixels, **how):
        Image.fromarray(pixels).save(folder / name, **how)
        return Case(name.split(".")[0], image=folder / name, mpp=0.25)

    cut = fields[0][331:459, 203:331]
    dull = np.clip(cut * 0.85 + 12, 0, 255).astype(np.uint8)
    padded = np.zeros_like(cut)
    padded[:, 40:] = fields[0][100:228, :88]  # cut over the left border, at x = -40
    crops = [
        crop("copied.jpg", dull, quality=60),
        crop("padded.png", padded),
        crop("other.png", fields[2][331:459, 203:331]),
        crop("empty.png", np.full_like(cut, 240)),
        crop("tiny.png", cut[:40, :40]),
        Case("absent"),
    ]
    return Dataset(cases), Dataset(crops)


def test_copied_crops_are_found_where_they_are(scene):
    fields, crops = scene
    found = {one.crop: one for one in find_crops(crops, fields)}
    assert set(found) == {"copied", "padded"}
    assert found["copied"].image == "a"
    assert found["copied"].x_px == pytest.approx(203 + 64, abs=2)
    assert found["copied"].y_px == pytest.approx(331 + 64, abs=2)
    assert found["padded"].x_px == pytest.approx(64 - 40, abs=2)


def test_they_are_refused_by_name(scene):
    fields, crops = scene
    with pytest.raises(SplitError, match="held-out case a at") as error:
        refuse_shared_crops(crops, fields)
    assert [p.record for p in error.value.problems] == ["crop copied", "crop padded"]
    refuse_shared_crops(crops, fields.select(["b"]))
    assert find_crops(Dataset([]), fields) == []


@pytest.mark.slow
@pytest.mark.needs_data
def test_real_crops_of_other_slides_are_not_confused(data_dir):
    from metaphase.labels.read import load_dataset

    folder = data_dir / "icpr2012"
    fields = load_dataset(
        folder / "annotations.json", images=folder / "images", scanner="Aperio XT"
    )
    labels, images = data_dir / "ami_br" / "annotations.json", data_dir / "ami_br" / "images"
    crops = load_dataset(labels, images=images, mpp=0.25)
    some = Dataset(list(crops)[::20])
    assert find_crops(some, Dataset(list(fields)[:2])) == []
