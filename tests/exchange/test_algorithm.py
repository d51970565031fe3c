"""The program of the container, on folders as Grand Challenge mounts them."""

from __future__ import annotations

import json
import shutil

import pytest

from metaphase.errors import InputError
from metaphase.exchange import algorithm
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


def test_the_command_of_the_container(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        algorithm.main(["--input", str(tmp_path), "--output", str(tmp_path / "out")])
    assert stop.value.code == 2
    assert "0 images" in capsys.readouterr().err


def test_the_socket_of_the_challenge_comes_before_others(tmp_path):
    mask = {"interface": {"slug": "a-mask", "kind": "Image", "relative_path": "images/mask"}}
    root = folder_2025(tmp_path, [mask, *SOCKETS])
    (root / "images" / "mask").mkdir()
    (root / "images" / "mask" / "m.tiff").write_bytes(b"pixels")
    version, image = algorithm.find_image(root)
    assert (version, image.name) == ("2025", "b1d0.tiff")


def test_other_files_are_no_images(tmp_path):
    for name in ("._a.tiff", "notes.txt", "A.TIFF"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.tiff").mkdir()
    assert algorithm.find_image(tmp_path) == ("2021", tmp_path / "A.TIFF")


def arguments(tmp_path):
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "a.png").write_bytes(b"no image")
    return ["--input", str(tmp_path / "input"), "--output", str(tmp_path / "output")]


@pytest.mark.parametrize("text", ["0", "-1", "nan", "fine"])
def test_a_wrong_resolution_exits_with_2(tmp_path, monkeypatch, capsys, text):
    monkeypatch.setenv("METAPHASE_MPP", text)
    with pytest.raises(SystemExit) as stop:
        algorithm.main(arguments(tmp_path))
    assert stop.value.code == 2
    assert f"METAPHASE_MPP: '{text}' is not a resolution in um/px" in capsys.readouterr().err
    assert not (tmp_path / "output").exists()


def test_the_resolution_of_the_environment_reaches_the_detector(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("METAPHASE_MPP", "0.5")
    monkeypatch.setattr("metaphase.detection.detect.detect", fake_detect)
    algorithm.main(arguments(tmp_path))
    out = tmp_path / "output" / "mitotic-figures.json"
    assert capsys.readouterr().out.strip() == str(out)
    assert json.loads(out.read_text())["points"][0]["point"] == [2.0, 1.0, 0]
