"""A Lightning run of one or two epochs: its checkpoints, which weights it keeps, and resuming."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from metaphase.errors import InputError
from metaphase.models.networks import Network, build_network
from metaphase.training.data.load import load_data
from metaphase.training.fit.checkpoints import read_checkpoint
from metaphase.training.fit.fit import LIGHTNING_PRECISION, fit
from metaphase.training.fit.module import DetectorModule
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.runfolder import RunFolder
from tests.training.dots import dots_recipe

SMALL = (
    "network.tile_px=96",
    "sampling.patches_per_epoch=4",
    "sampling.patch_px=64",
    "trainer.ema=0",
    "trainer.epochs=1",
)
NO_VALIDATION = ("data.split.validation=[]", "validation.threshold=0.4", "trainer.keep=last")


pytestmark = pytest.mark.usefixtures("one_thread")


def small_recipe(folder: Path, *overrides: str) -> Recipe:
    return dots_recipe(folder / "data", *SMALL, *overrides, cases=4, figures=3)


def network_of(recipe: Recipe) -> Network:
    torch.manual_seed(0)
    return build_network(recipe.network.kind, recipe.network_options(), recipe.classes)


def run(recipe: Recipe, folder: RunFolder) -> tuple[DetectorModule, int]:
    """Train, and return the module and the number of steps."""
    folder.path.mkdir(exist_ok=True)
    module, trainer = fit(recipe, network_of(recipe), load_data(recipe), folder, show=False)
    return module, trainer.global_step


def test_every_precision_of_a_recipe_is_one_of_lightning() -> None:
    assert set(LIGHTNING_PRECISION) == {"bf16", "fp16", "fp32"}
    assert len(set(LIGHTNING_PRECISION.values())) == 3


def test_a_run_without_validation_leaves_its_last_state(tmp_path: Path) -> None:
    recipe, folder = small_recipe(tmp_path, *NO_VALIDATION), RunFolder(tmp_path / "run")
    before = network_of(recipe).state_dict()
    module, steps = run(recipe, folder)
    assert steps == 1
    assert not folder.best_checkpoint.exists()
    state = read_checkpoint(folder.last_checkpoint)["state_dict"]
    trained = module.state_dict()
    assert all(torch.equal(state[name], trained[name]) for name in state)
    assert any(not torch.equal(before[n], v) for n, v in module.network.state_dict().items())
    assert folder.metrics.is_file()


def test_a_finished_run_has_no_further_step(tmp_path: Path) -> None:
    recipe, folder = small_recipe(tmp_path, *NO_VALIDATION), RunFolder(tmp_path / "run")
    first, steps = run(recipe, folder)
    again, steps_again = run(recipe, folder)
    assert steps == steps_again
    for name, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_a_checkpoint_that_is_none_is_refused(tmp_path: Path) -> None:
    recipe, folder = small_recipe(tmp_path, *NO_VALIDATION), RunFolder(tmp_path / "run")
    folder.checkpoints.mkdir(parents=True)
    torch.save({"not a tensor": Path("x")}, folder.last_checkpoint)
    with pytest.raises(InputError, match=r"last\.ckpt"):
        run(recipe, folder)


def test_with_validation_the_best_state_is_kept(tmp_path: Path) -> None:
    recipe, folder = small_recipe(tmp_path, "trainer.keep=best"), RunFolder(tmp_path / "run")
    module, _ = run(recipe, folder)
    best = read_checkpoint(folder.best_checkpoint)["state_dict"]
    assert all(torch.equal(best[name], value) for name, value in module.state_dict().items())
    assert "validation/f1" in folder.metrics.read_text().splitlines()[0]
