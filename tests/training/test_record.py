from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from metaphase.errors import RecipeError
from metaphase.labels.split import Split
from metaphase.training.recipe.recipe import parse_recipe
from metaphase.training.record import claim, is_main_process, version_of, versions, write_record
from metaphase.training.runfolder import RunFolder
from tests.training.helpers import make_recipe

SPLIT = Split(name="s", training=("a",), validation=("b",))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path)
    write_record(folder, make_recipe(), SPLIT)
    return folder


def progress(run: RunFolder) -> None:
    run.checkpoints.mkdir(exist_ok=True)
    run.last_checkpoint.write_bytes(b"x")


def test_a_record_has_recipe_split_and_environment(run: RunFolder) -> None:
    table = tomllib.loads(run.recipe.read_text(encoding="utf-8"))
    assert parse_recipe(table) == make_recipe()
    assert json.loads(run.split.read_text())["validation"] == ["b"]
    environment = json.loads(run.environment.read_text())
    assert environment["versions"]["metaphase"] == version_of("metaphase")
    assert set(environment["precision"]) == {"precision", "reason"}


def test_a_new_folder_and_one_of_the_same_recipe_are_taken(run: RunFolder, tmp_path: Path) -> None:
    claim(RunFolder(tmp_path / "new"), make_recipe())
    progress(run)
    claim(run, make_recipe())
    assert run.recipe.is_file()


def test_a_run_of_another_recipe_is_refused_once_it_has_made_progress(run: RunFolder) -> None:
    claim(run, make_recipe(seed=7))  # nothing was trained yet
    assert not run.recipe.exists()
    write_record(run, make_recipe(), SPLIT)
    progress(run)
    with pytest.raises(RecipeError, match="another recipe"):
        claim(run, make_recipe(seed=7))
    assert run.recipe.is_file()


def test_an_unreadable_recipe_is_another_one(run: RunFolder) -> None:
    run.recipe.write_text("from_the_future = 1")
    progress(run)
    with pytest.raises(RecipeError, match="another recipe"):
        claim(run, make_recipe())


def test_the_precision_that_auto_stands_for_is_the_same_run(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from metaphase.training.fit import precision

    monkeypatch.setattr(precision, "cpu_bf16_instructions", lambda: "")
    progress(run)
    on_cpu = {"accelerator": "cpu"}
    write_record(run, make_recipe(trainer=on_cpu | {"precision": "fp32"}), SPLIT)
    claim(run, make_recipe(trainer=on_cpu))
    with pytest.raises(RecipeError, match="another recipe"):
        claim(run, make_recipe(trainer=on_cpu | {"precision": "bf16"}))


@pytest.mark.parametrize(
    ("variables", "main"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"RANK": "3", "LOCAL_RANK": "0"}, False),  # the first of the second machine
        ({"SLURM_PROCID": "0", "LOCAL_RANK": "0"}, True),
    ],
)
def test_one_process_of_several_writes(
    variables: dict[str, str], main: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_main_process() is main


def test_versions_of_what_is_absent() -> None:
    assert version_of("no-such-package-of-anyone") == "absent"
    assert {"python", "metaphase", "numpy"} <= set(versions())
