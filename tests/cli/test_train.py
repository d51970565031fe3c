"""``metaphase train``: which recipe, folder and changes reach the training."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from metaphase.training.runfolder import RunFolder


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """The calls of ``train``, which is replaced: nothing is trained here."""
    made = []

    def train(recipe, *, out, show):
        made.append((recipe, out, show))
        return out

    monkeypatch.setenv("METAPHASE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(import_module("metaphase.training.train"), "train", train)
    return made


def test_the_run_is_named_by_the_recipe(command, calls):
    ended = command("train", "demo")
    assert ended.code == 0, ended.err
    ((recipe, out, show),) = calls
    assert (out, show) == (Path("runs") / recipe.name, True)
    assert ended.out.strip() == str(RunFolder(out).model)


def test_changes_reach_the_recipe(command, calls, tmp_path):
    words = ("--set", "trainer.epochs=3", "--set", "trainer.batch_size=5", "--quiet")
    ended = command("train", "demo", "--out", tmp_path / "run", *words)
    assert ended.code == 0, ended.err
    ((recipe, out, show),) = calls
    assert (recipe.trainer.epochs, recipe.trainer.batch_size) == (3, 5)
    assert (out, show) == (tmp_path / "run", False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compakt",), "compakt: no such recipe is bundled"),
        (("none.toml",), "none.toml: cannot be read"),
        (("demo", "--set", "trainer.epochz=1"), "epochz"),
        (("demo", "--set", "trainer.epochs"), "--set"),
    ],
)
def test_a_wrong_recipe_exits_with_2(command, calls, words, said):
    ended = command("train", *words)
    assert ended.code == 2
    assert said in ended.words
    assert calls == []


def test_it_ends_with_the_scores_and_the_next_command(command, calls, tmp_path):
    from metaphase.models.modelfile import save_model
    from tests.detection.scenes import make_card

    scores = {"validation": {"overall": {"f1": 0.71, "precision": 0.8, "recall": 0.64}}}
    save_model(tmp_path / "run" / "model", make_card(scores=scores), onnx=b"graph")
    ended = command("train", "demo", "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    assert "validation: F1 0.710, precision 0.800, recall 0.640 at the threshold" in ended.words
    assert "chosen on these cases" in ended.words
    assert f"next: metaphase detect IMAGES --model {tmp_path / 'run' / 'model'}" in ended.err
    assert ended.out.strip() == str(tmp_path / "run" / "model")
    assert "next:" not in command("train", "demo", "--out", tmp_path / "run", "--quiet").err
