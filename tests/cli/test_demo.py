"""``metaphase demo``: its steps are commands that exist, and it stops at the first that fails."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import typer

from metaphase.cli import demo
from metaphase.cli.commands import load
from metaphase.training.recipe.bundled import bundled_recipe


@pytest.fixture
def steps(monkeypatch):
    """The words of the steps, which are not run; ``fails`` names those that exit with 3."""
    words, fails = [], []

    def run(arguments, *, check, env):
        assert arguments[:3] == [sys.executable, "-m", "metaphase"]
        assert env["METAPHASE_CONFIG"] == ""
        words.append(list(arguments[3:]))
        return SimpleNamespace(returncode=3 if arguments[3] in fails else 0)

    monkeypatch.setattr(demo, "subprocess", SimpleNamespace(run=run))
    return words, fails


def test_every_step_is_a_command_line_that_is_accepted(command, steps, tmp_path):
    words, _ = steps
    ended = command("demo", "--out", tmp_path / "demo", "--set", "trainer.epochs=1")
    assert ended.code == 0, ended.err
    names = [line[0] for line in words]
    assert names == [
        *("sample", "detect", "evaluate"),
        *("phantom", "data", "data", "doctor", "train", "detect", "evaluate"),
    ]
    for name, *rest in words:
        one = typer.main.get_command(load(name))
        if name == "data":
            one, rest = one.commands[rest[0]], rest[1:]
        one.make_context(name, rest)  # fails for an option that the command does not have
        assert f"$ metaphase {name}" in ended.out


def test_changes_of_the_recipe_reach_doctor_and_training(command, steps, tmp_path):
    words, _ = steps
    command("demo", "--out", tmp_path, "--set", "a.b=1", "--set", "a.c=2", "--size", 256)
    changed = [line[0] for line in words if line[-4:] == ["--set", "a.b=1", "--set", "a.c=2"]]
    assert changed == ["doctor", "train"]
    (phantom,) = (line for line in words if line[0] == "phantom")
    assert phantom[-2:] == ["--size", "256"]
    recipe = bundled_recipe("demo").read_bytes()
    assert (tmp_path / "recipe.toml").read_bytes() == recipe


def test_it_stops_at_the_step_that_fails(command, steps, tmp_path):
    words, fails = steps
    fails.append("doctor")
    ended = command("demo", "--out", tmp_path)
    assert ended.code == 2
    assert "the demo stopped at: metaphase doctor" in ended.words
    assert "exit code 3" in ended.words
    assert [line[0] for line in words][-1] == "doctor"


def test_old_names_are_read(command, steps, tmp_path):
    words, _ = steps
    ended = command("demo", tmp_path / "demo", "--cases", 2)
    assert ended.code == 0
    assert "use --cases-per-scanner" in ended.words
    assert "use --out" in ended.words
    (phantom,) = (line for line in words if line[0] == "phantom")
    assert phantom[phantom.index("--cases-per-scanner") + 1] == "2"
