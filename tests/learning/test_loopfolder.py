"""The folder of a loop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaphase.errors import InputError
from metaphase.files import write_json
from metaphase.learning.loopfolder import LoopFolder, LoopImage, LoopSettings


@pytest.fixture
def folder(tmp_path):
    loop = LoopFolder(tmp_path)
    image = LoopImage(name="a", path=Path("/slides/a.svs"), mpp=0.25)
    settings = LoopSettings(model="compact", model_id="x" * 64, images=(image,))
    loop.settings_file.write_text(settings.model_dump_json())
    return loop


def test_settings_are_read_back(folder):
    settings = folder.settings()
    assert settings.images[0].path == Path("/slides/a.svs")
    assert settings.decisions == 50


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": 3}', '{"format": 2}'])
def test_a_damaged_file_is_named(folder, text):
    folder.settings_file.write_text(text)
    with pytest.raises(InputError, match=r"loop\.json"):
        folder.settings()


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="learn start"):
        LoopFolder(tmp_path / "none").settings()


def test_another_model_is_refused(folder):
    with pytest.raises(InputError, match="not the model that the loop began with"):
        folder.base_model()


def test_only_finished_rounds_count(folder):
    assert folder.rounds() == []
    for number in (1, 2, 10):
        folder.round(number).mkdir(parents=True)
    for number in (1, 10):
        (folder.round(number) / "round.json").write_text("{}")
    assert folder.rounds() == [1, 10]


def test_the_order_is_read_back_and_damage_proposes_nothing(folder):
    assert folder.order() == []
    folder.write_order([("a", 1.25, 2.0), ("b", 3.0, 4.0)])
    assert folder.order() == [("a", 1.25, 2.0), ("b", 3.0, 4.0)]
    for text in ("", "{}", '[{"image": "a"}]', json.dumps([1])):
        (folder.path / "order.json").write_text(text)
        assert folder.order() == []


@pytest.mark.parametrize("name", ["", "/etc", "../x", "a/../../x", "a//b", ".", "a\0"])
def test_names_that_leave_the_folder_are_refused(folder, name):
    content = json.loads(folder.settings_file.read_text())
    content["images"][0]["name"] = name
    folder.settings_file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"images\.0\.name"):
        folder.settings()


@pytest.mark.parametrize("data", [b"\xff{}", b"[" * 50_000, b'{"seed": ' + b"9" * 5000 + b"}"])
def test_files_that_are_no_json_are_named(folder, data):
    folder.settings_file.write_bytes(data)
    with pytest.raises(InputError, match=r"loop\.json"):
        folder.settings()


def test_a_name_that_is_not_utf8_is_read_back(tmp_path):
    loop = LoopFolder(tmp_path)
    image = LoopImage(name="a\udcff", path=Path("/slides/a\udcff.svs"))
    settings = LoopSettings(model="compact", model_id="x" * 64, images=(image,))
    write_json(loop.settings_file, settings.model_dump(mode="json"))
    assert loop.settings() == settings


def test_a_damaged_order_proposes_what_can_be_read(folder):
    rows = [{"image": "a", "x_px": x, "y_px": 1} for x in (2, "x", 1e308, None)]
    (folder.path / "order.json").write_text(json.dumps(rows).replace("1e+308", "NaN"))
    assert folder.order() == [("a", 2.0, 1.0)]
    (folder.path / "order.json").write_text("[" * 50_000)
    assert folder.order() == []
