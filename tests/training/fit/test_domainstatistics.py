from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from metaphase.detection.detect import detect
from metaphase.labels.dataset import Case, Dataset
from metaphase.training.fit.domainstatistics import describe_domains, write_domains
from tests.detection.test_imagestatistics import picture
from tests.models.tiny import save_tiny


def test_detection_tells_only_where_the_card_does(tmp_path: Path) -> None:
    cases = []
    for i in range(4):
        path = tmp_path / f"t{i}.png"
        Image.fromarray(picture(1 + i / 20)).save(path)
        cases.append(Case(f"t{i}", image=path, mpp=0.25, scanner="A"))
    model = save_tiny(tmp_path / "model")
    silent = detect(tmp_path / "t0.png", model, mpp=0.25)
    assert silent.provenance.parameters.domain_shift is None
    told = write_domains(model, describe_domains(model, Dataset(cases)))
    assert told.id != model.id
    known = detect(tmp_path / "t1.png", told, mpp=0.25)
    assert known.provenance.parameters.domain_shift.nearest == "A"
    assert known.provenance.warnings == ()
    assert np.array_equal(known.score, detect(tmp_path / "t1.png", model, mpp=0.25).score)
    Image.fromarray(picture(4.0, blur=2.0)).save(tmp_path / "odd.png")
    (warning,) = detect(tmp_path / "odd.png", told, mpp=0.25).provenance.warnings
    assert "differs from the training images" in warning


def test_crops_tell_their_scanners_stain_and_sharpness(tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "model")
    cases, crops = [], []
    for i in range(4):
        path = tmp_path / f"t{i}.png"
        Image.fromarray(picture(1 + i / 20)).save(path)
        cases.append(Case(f"t{i}", image=path, mpp=0.25, scanner="A"))
        crop = picture(2.0)[:64, :64]
        crop[20:44, 20:44] = 5  # what is in the middle has no part in it
        Image.fromarray(crop).save(tmp_path / f"c{i}.png")
        crops.append(Case(f"c{i}", image=tmp_path / f"c{i}.png", mpp=0.25, scanner="B", group="g"))
    found = describe_domains(model, Dataset(cases), Dataset(crops))
    assert found is not None
    assert [domain.name for domain in found.domains] == ["A", "B"]
    ratio = found.domains[1].mean["density_green"] / found.domains[0].mean["density_green"]
    assert 1.7 < ratio < 2.1
    assert not any(name.startswith("score") for name in found.domains[1].mean)
    assert describe_domains(model, Dataset([])) is None
