"""``metaphase export``: where the model goes, what it is calibrated on, and what is refused."""

from __future__ import annotations

import pytest
from PIL import Image

from metaphase.detection import calibrationtiles
from metaphase.models import precision
from metaphase.models.modelfile import save_model


@pytest.fixture
def calls(monkeypatch):
    """The calls of ``export_model``, which is replaced: it copies the model."""
    made = []

    def export_model(model, folder, weights, *, tiles):
        made.append((model.id, folder, weights, tiles))
        return save_model(folder, model.card, onnx=b"x" * 1_500_000)

    monkeypatch.setattr(precision, "export_model", export_model)
    return made


def test_the_new_model_lies_beside_the_old_one(command, model, calls):
    ended = command("export", "--model", model.folder, "--weights", "fp16")
    assert ended.code == 0, ended.err
    folder = model.folder.with_name("dots-fp16")
    assert calls == [(model.id, folder, "fp16", None)]
    assert ended.out.startswith(f"{folder}: dots (")
    assert ended.out.strip().endswith("1.5 MB")


def test_int8_is_calibrated_on_the_named_images(command, model, calls, tmp_path, monkeypatch):
    def tiles(opened, jobs, count):
        return [opened.id, count, *((job.name, job.mpp) for job in jobs)]

    monkeypatch.setattr(calibrationtiles, "calibration_tiles", tiles)
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    words = ("--weights", "int8", "--calibrate", tmp_path / "a.png", "--tiles", 9, "--mpp", 0.5)
    ended = command("export", "--model", model.folder, "--out", tmp_path / "new", *words)
    assert ended.code == 0, ended.err
    assert calls == [(model.id, tmp_path / "new", "int8", [model.id, 9, ("a", 0.5)])]


def test_the_old_name_of_the_option_is_read(command, model, calls):
    ended = command("export", "--model", model.folder, "--precision", "packed")
    assert ended.code == 0, ended.err
    assert "use --weights" in ended.words
    assert calls[0][2] == "packed"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--weights", "int4"), "'int4' is not fp32, fp16, int8, packed"),
        (("--calibrate", "images"), "--calibrate has no effect without --weights int8"),
        (("--tiles", "9"), "--tiles has no effect without --calibrate"),
        (("--scanner", "S1"), "--scanner has no effect without --calibrate"),
    ],
)
def test_options_without_effect_exit_with_2(command, model, calls, words, said):
    ended = command("export", "--model", model.folder, *words)
    assert ended.code == 2
    assert said in ended.words
    assert calls == []


def test_the_model_is_not_written_over(command, model, calls):
    ended = command("export", "--model", model.folder, "--out", model.folder)
    assert ended.code == 2
    assert "is the folder of the model itself" in ended.words
    assert calls == []
    assert model.onnx_path.read_bytes() == b"graph"
