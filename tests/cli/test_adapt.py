"""``metaphase adapt``: which cases and options reach the adaptation, and what is refused."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from PIL import Image

pytest.importorskip("torch")

from metaphase.training.adapt import existing


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (32, 32), "white").save(folder / name)
    return folder


@pytest.fixture
def calls(monkeypatch):
    """The calls of ``adapt_model``, which is replaced: nothing is trained here."""
    made = []

    def adapt_model(model, cases, out, how, *, progress):
        progress(1, 2)
        made.append((model, cases, how))
        card = SimpleNamespace(threshold=SimpleNamespace(value=0.375))
        return SimpleNamespace(card=card, folder=out)

    monkeypatch.setattr(existing, "adapt_model", adapt_model)
    return made


def test_images_become_unlabelled_cases(command, images, calls, tmp_path):
    options = ("--mpp", 0.5, "--scanner", "S9", "--steps", 7, "--seed", 3)
    ended = command("adapt", images, "--model", "mine", "--out", tmp_path / "new", *options)
    assert ended.code == 0, ended.err
    assert ended.out.strip() == str(tmp_path / "new")
    assert "threshold of 0.375 was chosen before" in ended.words
    ((model, unlabelled, how),) = calls
    assert model == "mine"
    assert [(c.id, c.mpp, c.scanner, c.labelled) for c in unlabelled.cases] == [
        ("a", 0.5, "S9", False),
        ("b", 0.5, "S9", False),
    ]
    assert (how.options.method, how.steps, how.seed) == ("adabn", 7, 3)


def test_the_old_form_names_the_model_first(command, images, calls, tmp_path):
    ended = command("adapt", "mine", "--to", images, "--out", tmp_path / "new", "--mpp", 0.25)
    assert ended.code == 0, ended.err
    assert "--to is deprecated: use 'metaphase adapt IMAGES --model mine'" in ended.words
    ((model, unlabelled, _),) = calls
    assert (model, unlabelled.cases.ids) == ("mine", ("a", "b"))


def test_an_unknown_method_is_refused(command, images, calls, tmp_path):
    ended = command("adapt", images, "--out", tmp_path / "new", "--method", "magic")
    assert ended.code == 2
    assert "--method" in ended.words
    assert "magic" in ended.words
    assert calls == []


def test_a_folder_without_images_is_refused(command, calls, tmp_path):
    (tmp_path / "empty").mkdir()
    ended = command("adapt", tmp_path / "empty", "--out", tmp_path / "new")
    assert ended.code == 2
    assert str(tmp_path / "empty") in ended.words.replace(" ", "")
    assert calls == []


def test_without_the_extra_the_message_names_it(command, images, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "metaphase.training.adapt.existing", None)
    ended = command("adapt", images, "--out", tmp_path / "new")
    assert ended.code == 2
    assert "pip install 'metaphase[train]'" in ended.words
