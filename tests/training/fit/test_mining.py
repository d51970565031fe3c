from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from metaphase.figures import points_of
from metaphase.labels.dataset import Dataset
from metaphase.training.fit.mining import Mining
from metaphase.training.patches.dataset import PatchDataset, patch_dataset
from metaphase.training.patches.minedplaces import load_mined
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.runfolder import RunFolder
from tests.training.fit.scenes import dot_network, dots, without_figures

HIDDEN = 2
"""Dots of case0 that are no labelled figures."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Dataset, Dataset]:
    torch.set_num_threads(1)
    changes = ("sampling.mine_at=[0.5, 0.75]", "trainer.epochs=4", "sampling.mine_score=0.1")
    recipe, cases = dots(tmp_path_factory.mktemp("dots"), *changes)
    return recipe, cases, without_figures(cases, "case0", keep=5 - HIDDEN)


def mining(
    scene: tuple[Recipe, Dataset, Dataset], folder: Path
) -> tuple[Mining, PatchDataset, Any]:
    recipe, _, cases = scene
    patches = patch_dataset(recipe, cases)
    module = SimpleNamespace(network=dot_network())
    return Mining(recipe, patches, RunFolder(folder)), patches, module


def trainer(epoch: int, *, first: bool = True) -> Any:
    strategy = SimpleNamespace(barrier=lambda name: None)
    return SimpleNamespace(current_epoch=epoch, is_global_zero=first, strategy=strategy)


def test_false_positives_are_mined_and_figures_are_not(
    scene: tuple[Recipe, Dataset, Dataset], tmp_path: Path
) -> None:
    callback, _, module = mining(scene, tmp_path)
    places = callback.mine(module)
    assert {name: len(points) for name, points in places.items()} == {"case0": HIDDEN, "case1": 0}
    hidden = points_of(scene[1]["case0"].figures)[-HIDDEN:]
    away = np.hypot(*(np.array(places["case0"])[:, None] - hidden[None]).transpose(2, 0, 1))
    assert away.min(axis=0).max() < 12


def test_a_case_without_figures_gives_all_that_is_found(
    scene: tuple[Recipe, Dataset, Dataset], tmp_path: Path
) -> None:
    recipe, cases, _ = scene
    patches = patch_dataset(recipe, without_figures(cases, "case0"))
    callback = Mining(recipe, patches, RunFolder(tmp_path))
    places = callback.mine(SimpleNamespace(network=dot_network()))  # type: ignore[arg-type]
    assert len(places["case0"]) == 5


def test_mining_leaves_the_training_as_it_was(
    scene: tuple[Recipe, Dataset, Dataset], tmp_path: Path
) -> None:
    callback, _, module = mining(scene, tmp_path)
    module.network.train()
    before = torch.get_rng_state()
    callback.mine(module)
    assert module.network.training
    assert torch.equal(torch.get_rng_state(), before)


def test_mining_happens_at_the_epochs_of_the_recipe(
    scene: tuple[Recipe, Dataset, Dataset], tmp_path: Path
) -> None:
    callback, patches, module = mining(scene, tmp_path)
    assert callback.epochs == {2, 3}
    written = []
    for epoch in range(3):
        callback.on_train_epoch_start(trainer(epoch), module)
        written.append(patches.mined_file(epoch).is_file())
    assert written == [False, False, True]
    assert patches.mined_file(2) == tmp_path / "mined" / "epoch-00002.csv"
    assert len(load_mined(patches.mined_file(2))["case0"]) == HIDDEN


def test_patches_of_later_epochs_use_the_places(
    scene: tuple[Recipe, Dataset, Dataset], tmp_path: Path
) -> None:
    callback, patches, module = mining(scene, tmp_path)
    callback.on_train_epoch_start(trainer(2), module)

    def mined(epoch: int) -> int:
        return sum(len(case.mined) for case in patches.sampler_at(epoch).cases)

    assert [mined(epoch) for epoch in (0, 1, 2, 3)] == [0, 0, HIDDEN, HIDDEN]


def test_a_resumed_run_uses_the_file_that_exists(
    scene: tuple[Recipe, Dataset, Dataset], tmp_path: Path
) -> None:
    callback, patches, module = mining(scene, tmp_path)
    path = patches.mined_file(2)
    path.parent.mkdir()
    path.write_text("case,x_px,y_px\ncase0,1,2\n")
    callback.on_train_epoch_start(trainer(2), module)
    assert load_mined(path)["case0"].tolist() == [[1, 2]]


def test_only_the_first_process_mines(
    scene: tuple[Recipe, Dataset, Dataset], tmp_path: Path
) -> None:
    callback, patches, module = mining(scene, tmp_path)
    callback.on_train_epoch_start(trainer(2, first=False), module)
    assert not patches.mined_file(2).exists()
