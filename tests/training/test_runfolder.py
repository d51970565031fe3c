from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from metaphase.training.runfolder import CrossValidationFolder, RunFolder


def test_every_file_has_a_place_of_its_own_below_the_folder() -> None:
    run = RunFolder(Path("run"))
    names = [name for name, value in vars(RunFolder).items() if isinstance(value, property)]
    places = [getattr(run, name) for name in names if name != "has_progress"]
    assert len(set(places)) == len(places) > 10
    assert all(Path("run") in place.parents for place in places)
    assert [field.name for field in fields(run)] == ["path"]


@pytest.mark.parametrize("name", ["last_checkpoint", "previous_checkpoint"])
def test_a_checkpoint_is_progress(tmp_path: Path, name: str) -> None:
    run = RunFolder(tmp_path)
    assert not run.has_progress
    run.checkpoints.mkdir()
    getattr(run, name).write_bytes(b"x")
    assert run.has_progress


def test_a_model_file_is_progress(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.model.mkdir()
    assert not run.has_progress
    (run.model / "card.json").write_text("{}")
    assert run.has_progress


def test_clearing_leaves_the_files_of_others(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.recipe.write_text("")
    run.mined.mkdir()
    (run.mined / "epoch-0001.csv").write_text("")
    (tmp_path / "notes.txt").write_text("mine")
    run.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    run.clear()  # nothing is left to remove


@pytest.mark.parametrize(
    ("name", "folder"),
    [("Aperio CS2", "Aperio-CS2"), ("../x", "..-x"), ("a/b", "a-b"), ("A_1.b-c", "A_1.b-c")],
)
def test_a_fold_stays_below_the_cross_validation(name: str, folder: str) -> None:
    assert CrossValidationFolder(Path("cv")).fold(name).path == Path("cv") / folder
