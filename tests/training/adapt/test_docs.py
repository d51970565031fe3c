"""The worked example of docs/generalization.md does what the page says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import torch

from metaphase.training.adapt import registry
from metaphase.training.adapt.base import Step, maps_and_features
from metaphase.training.recipe.recipe import parse_recipe

from ..helpers import recipe_data
from .scenes import images, setting, target, tiny_network, unlabelled

PAGE = Path(__file__).parents[3] / "docs" / "generalization.md"


def code(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_a_method_in_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.find_method("adabn")
    monkeypatch.setattr(registry, "_REGISTERED", dict(registry._REGISTERED))
    (text,) = code("python")
    exec(compile(text, "means.py", "exec"), {"__name__": "means"})
    assert "means" in registry.method_names()
    recipe = parse_recipe({**recipe_data(), "adapt": {"method": "means", "weight": 0.5}})
    assert recipe.adapt is not None
    network = tiny_network()
    method = registry.find_method("means")(recipe.adapt[0], setting(recipe, network))
    targets = [target(0, (40, 40)), target(1)]
    maps, features = maps_and_features(network, images(2))
    losses = network.loss(maps, targets)  # type: ignore[arg-type]
    step = Step(network, images(2), targets, maps, features, losses, unlabelled(), 0.5)
    told = method.losses(step)
    assert set(told) == {"score", "offset", "means"}
    assert told["means"] > 0
    told["means"].backward()
    assert any(p.grad is not None and torch.any(p.grad != 0) for p in network.body.parameters())


def test_the_recipe_of_the_page_is_valid() -> None:
    (text,) = code("toml")
    data = recipe_data()
    data.pop("data")
    recipe = parse_recipe({**data, **tomllib.loads(text)})
    assert [options.method for options in recipe.adapt or ()] == ["gradient-reversal", "adabn"]
    assert recipe.data.sources[1].masked is not None
    assert recipe.augment.fourier is not None


def test_every_method_and_command_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in registry.method_names():
        assert f'"{name}"' in text
    for command in ("metaphase adapt", "metaphase stress", "studies.generalization"):
        assert command in text
