"""The container's entry point, on folders as Grand Challenge lays them, and the build context."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from metaphase.errors import InputError
from metaphase.exchange import algorithm
from metaphase.exchange.container import write_container
from metaphase.exchange.grandchallenge import read
from metaphase.exchange.importedfile import ImageFacts
from metaphase.figures import Detections
from metaphase.provenance import Provenance

SOCKETS = [
    {
        "file": None,
        "image": {"name": "350.tiff"},
        "value": None,
        "interface": {
            "slug": "histopathology-region-of-interest-cropout",
            "kind": "Image",
            "super_kind": "Image",
            "relative_path": "images/histopathology-roi-cropout",
            "example_value": None,
        },
    }
]


def fake_detect(image, model, *, mpp=None):
    made = Provenance(image.name, 7000, 5000, mpp or 0.25, threshold=0.5)
    return Detections([4000, 100], [2000, 100], [0.9, 0.2], provenance=made)


def folder_2025(root, sockets=SOCKETS):
    images = root / "images" / "histopathology-roi-cropout"
    images.mkdir(parents=True)
    (images / "b1d0.tiff").write_bytes(b"pixels")
    (root / "inputs.json").write_text(json.dumps(sockets))
    return root


def test_midog_2025(tmp_path):
    out = algorithm.run(
        folder_2025(tmp_path / "input"), tmp_path / "output", "model", detect=fake_detect
    )
    assert out == tmp_path / "output" / "mitotic-figures.json"
    data = json.loads(out.read_text())
    assert (data["name"], data["type"]) == ("Points of interest", "Multiple points")
    assert data["version"] == {"major": 1, "minor": 0}
    assert data["points"][0] == {
        "name": "mitotic figure",
        "point": [1.0, 0.5, 0.0],
        "probability": 0.9,
    }
    assert data["points"][1]["name"] == "non-mitotic figure"


@pytest.mark.needs_data
def test_the_challenges_own_example(tmp_path, data_dir):
    example = data_dir / "grand_challenge_2025" / "input" / "interf0" / "inputs.json"
    root = folder_2025(tmp_path / "input")
    shutil.copyfile(example, root / "inputs.json")
    out = algorithm.run(root, tmp_path / "output", "model", detect=fake_detect)
    theirs = data_dir / "grand_challenge_2025" / "output" / "expected_output.json"
    ours, expected = json.loads(out.read_text()), json.loads(theirs.read_text())
    assert ours.keys() == expected.keys()
    assert ours["points"][0].keys() == expected["points"][0].keys()


def test_midog_2021(tmp_path):
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "007.tiff").write_bytes(b"pixels")
    out = algorithm.run(tmp_path / "input", tmp_path / "out", "m", mpp=0.5, detect=fake_detect)
    data = json.loads(out.read_text())
    assert set(data) == {"type", "points", "version"}
    assert data["points"][0]["point"] == [2.0, 1.0, 0]
    (back,) = read(out, ImageFacts(0.5)).values()
    assert back.x_px.tolist() == pytest.approx([4000, 100])


def test_there_must_be_one_image(tmp_path):
    (tmp_path / "input").mkdir()
    for names in ([], ["a.tiff", "b.tiff"]):
        for name in names:
            (tmp_path / "input" / name).write_bytes(b"")
        with pytest.raises(InputError, match=f"{len(names)} images"):
            algorithm.run(tmp_path / "input", tmp_path / "out", "m", detect=fake_detect)


@pytest.mark.parametrize(
    "sockets",
    [
        [],
        {},
        [3],
        [{"interface": {"kind": "String", "relative_path": "x"}}],
        [{"interface": {"kind": "Image", "relative_path": ""}}],
        [{"interface": {"kind": "Image", "relative_path": "../secret"}}],
        [{"interface": {"kind": "Image", "relative_path": "/etc"}}],
    ],
)
def test_sockets_that_name_no_image(tmp_path, sockets):
    root = folder_2025(tmp_path / "input", sockets)
    with pytest.raises(InputError):
        algorithm.run(root, tmp_path / "out", "m", detect=fake_detect)


@pytest.fixture
def model(tmp_path):
    from metaphase.models.card import HeadSpec, InputSpec, Level, ModelCard, Threshold
    from metaphase.models.modelfile import save_model

    card = ModelCard(
        name="Tiny one: 1",
        created="2025-01-01T00:00:00Z",
        metaphase="0.1.0",
        network="compact",
        network_options={},
        input=InputSpec(mpp=0.25),
        head=HeadSpec(kind="centre", levels=(Level(stride=8),)),
        normalisation={"mean": (0, 0, 0), "std": (1, 1, 1)},
        merge_radius_um=5,
        threshold=Threshold(value=0.5, chosen_on="nothing", protocol="none"),
        training_data=[],
        recipe={},
        seed=0,
        versions={},
    )
    weights = {"w": np.zeros(1, np.float32)}
    return save_model(tmp_path / "model", card, weights=weights, onnx=b"not run here").folder


def test_the_build_context(tmp_path, model):
    out = write_container(tmp_path / "context", model, mpp=0.25)
    text = (out / "Dockerfile").read_text()
    lines = text.splitlines()
    assert lines[-1] == 'ENTRYPOINT ["python", "-m", "metaphase.exchange.algorithm"]'
    assert lines[-2] == "USER algorithm"
    assert "METAPHASE_MPP=0.25" in text
    assert {p.name for p in (out / "model").iterdir()} == {p.name for p in model.iterdir()}
    assert "--network none" in (out / "README.md").read_text()
    with pytest.raises(InputError, match="already"):
        write_container(out, model)


def test_a_wheel_instead_of_the_index(tmp_path, model):
    wheel = tmp_path / "metaphase-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"zip")
    out = write_container(tmp_path / "context", model, wheel=wheel)
    assert f"COPY {wheel.name} " in (out / "Dockerfile").read_text()
    assert (out / wheel.name).read_bytes() == b"zip"
    with pytest.raises(InputError, match="wheel"):
        write_container(tmp_path / "other", model, wheel=tmp_path / "none.whl")


def test_the_command_of_the_container(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        algorithm.main(["--input", str(tmp_path), "--output", str(tmp_path / "out")])
    assert stop.value.code == 2
    assert "0 images" in capsys.readouterr().err
