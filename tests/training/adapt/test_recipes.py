"""Methods in recipes, and in whole runs."""

from __future__ import annotations

import csv
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metaphase.errors import InputError, RecipeError
from metaphase.labels.dataset import Case, Dataset
from metaphase.models.modelfile import load_model, load_network
from metaphase.training.adapt.registry import find_method, method_names
from metaphase.training.data.load import load_data
from metaphase.training.data.masked import load_masked
from metaphase.training.data.sources import region_cases
from metaphase.training.folds.foldrecipe import fold_recipe
from metaphase.training.patches.dataset import patch_dataset
from metaphase.training.patches.unlabelledplaces import TissuePlaces
from metaphase.training.recipe.recipe import load_recipe, parse_recipe, resolved
from metaphase.training.train import train

from ..helpers import recipe_data
from .scenes import scene

ALL = """
[[adapt]]
method = "gradient-reversal"
[[adapt]]
method = "worst-domain"
[[adapt]]
method = "mean-teacher"
begin = 0.0
[[adapt]]
method = "adabn"
patches = 8
"""


pytestmark = pytest.mark.usefixtures("cheap_training", "one_thread")


def test_there_are_methods() -> None:
    assert set(method_names()) >= {"adabn", "gradient-reversal", "mean-teacher", "worst-domain"}
    for name in method_names():
        assert find_method(name).name == name
        assert find_method(name).__doc__


def test_one_table_or_several() -> None:
    one = parse_recipe(recipe_data(adapt={"method": "adabn", "keep": 0.5}))
    assert one.adapt is not None
    assert one.adapt[0].model_dump(exclude={"by"}) == {
        "method": "adabn",
        "unlabelled_share": 0.5,
        "patches": 256,
        "keep": 0.5,
    }
    data = {**recipe_data(), "adapt": [{"method": "adabn"}, {"method": "worst-domain"}]}
    two = parse_recipe(data)
    assert [options.method for options in two.adapt or ()] == ["adabn", "worst-domain"]
    assert parse_recipe(tomllib.loads(resolved(two))) == two


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({}, "method is missing"),
        ({"method": "magic"}, "no method 'magic'"),
        ({"method": "adabn", "kept": 1}, "kept is not a known key"),
        ({"method": "adabn", "keep": 2.0}, "keep"),
    ],
)
def test_wrong_options_are_told(table: dict[str, object], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        parse_recipe({**recipe_data(), "adapt": table})


def test_a_method_that_needs_unlabelled_cases_is_refused_without(tmp_path: Path) -> None:
    recipe = scene(tmp_path, "data.split.unlabelled=[]", adapt='\n[adapt]\nmethod = "adabn"\n')
    with pytest.raises(RecipeError, match="needs unlabelled cases"):
        train(recipe, out=tmp_path / "run", show=False)


def test_a_run_with_all_methods_at_once(tmp_path: Path) -> None:
    recipe = scene(tmp_path, "trainer.worst_of=scanner", adapt=ALL)
    run = train(recipe, out=tmp_path / "run", show=False)
    with (run / "metrics.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {"train/loss_domain", "train/loss_teacher", "train/loss_score"} <= set(rows[0])
    assert "validation/worst_f1" in rows[0]
    model = load_model(run / "model")
    assert [table["method"] for table in model.card.recipe["adapt"]] == [
        *("gradient-reversal", "worst-domain", "mean-teacher", "adabn")
    ]
    assert not any("teacher" in name for name in load_network(model).state_dict())
    assert load_recipe(run / "recipe.toml") == recipe


@pytest.mark.slow
def test_a_run_with_methods_goes_on_as_if_nothing_had_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = scene(tmp_path, adapt=ALL)
    whole = train(recipe, out=tmp_path / "whole", show=False)
    from metaphase.errors import InterruptedRunError
    from metaphase.training.fit.module import DetectorModule

    step = DetectorModule.training_step

    def stop(self, batch, index):  # type: ignore[no-untyped-def]
        if self.current_epoch == 1 and index == 2:
            raise KeyboardInterrupt
        return step(self, batch, index)

    with monkeypatch.context() as patched:
        patched.setattr(DetectorModule, "training_step", stop)
        with pytest.raises(InterruptedRunError):
            train(recipe, out=tmp_path / "parts", show=False)
    parts = train(recipe, out=tmp_path / "parts", show=False)
    a, b = (load_network(load_model(run / "model")).state_dict() for run in (whole, parts))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_unlabelled_cases_are_in_every_fold(tmp_path: Path) -> None:
    plain = scene(tmp_path / "a")
    adapting = scene(tmp_path / "b", adapt='\n[adapt]\nmethod = "adabn"\n')
    for recipe, wanted in ((plain, ()), (adapting, ("new/new0", "new/new1"))):
        regions = region_cases(recipe).labelled()
        left_out = regions.by_domain("scanner")["A"]
        fold = fold_recipe(recipe, regions, left_out, "A", by="scanner", threshold="other-folds")
        assert load_data(fold).split.unlabelled == wanted


# --- unlabelled cases ----------------------------------------------------------------------------


def test_stain_is_taken_from_unlabelled_cases(tmp_path: Path) -> None:
    settings = ["augment.strength=1.0", "augment.stain_transfer.method=reinhard"]
    recipe = scene(tmp_path, *settings, "augment.stain_transfer.probability=1.0")
    data = load_data(recipe)
    patches = patch_dataset(recipe, data.training, unlabelled=data.unlabelled)
    assert patches.partners is not None
    assert set(patches.partners.places.domains) == {"A", "B", "N"}
    own = patches.partners.domains["old/case1"]
    seen = {
        patches.partners.domains[
            patches.partners.places.draw(np.random.default_rng(i), other_than=own).spec.case_id
        ]  # type: ignore[union-attr]
        for i in range(20)
    }
    assert seen == {"A", "B", "N"} - {own}
    assert patches[0].image.shape == (96, 96, 3)


def test_masked_places_are_never_seen(tmp_path: Path) -> None:
    pixels = np.full((200, 200, 3), (190, 140, 180), np.uint8)
    pixels[60:90, 100:150] = (255, 255, 0)
    Image.fromarray(pixels).save(tmp_path / "u.png")
    (tmp_path / "m.json").write_text(json.dumps({"painted": {"u.png": [[100, 60, 150, 90]]}}))
    cases = Dataset([Case("u", image=tmp_path / "u.png", mpp=0.25, labelled=False)])
    masked = load_masked(tmp_path / "m.json", cases)
    places = TissuePlaces(
        cases, by="scanner", patch_px=160, mpp=0.25, mpp_jitter=0.1, masked=masked
    )
    for seed in range(10):
        patch = places.draw(np.random.default_rng(seed))
        assert patch is not None
        assert len(patch.ignore) == 1
        assert patch.image[..., 2].min() > 150
    assert places.draw(np.random.default_rng(0), other_than="unknown") is None


@pytest.mark.parametrize("text", ["{}", "[1]", '{"painted": {"u": [[1, 2, 3]]}}', "no"])
def test_masks_of_another_form_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(InputError, match="masked places"):
        load_masked(path, Dataset([]))
