from __future__ import annotations

import pytest
import torch
from torch import nn

from metaphase.errors import RecipeError
from metaphase.figures import Label
from metaphase.models.networks import Network
from metaphase.training.adapt.methods.adabn import AdaBN, StatisticsOptions, re_estimate
from metaphase.training.recipe.recipe import Recipe
from tests.models.tiny import TinyNetwork, TinyOptions
from tests.training.adapt.scenes import images, setting


def test_statistics_are_those_of_the_patches(network: Network) -> None:
    first = network.body.bn1  # type: ignore[union-attr,operator]
    seen: list[torch.Tensor] = []
    handle = first.register_forward_pre_hook(lambda m, x: seen.append(x[0]))
    batches = [images(3, seed) for seed in range(3)]
    weights = {k: v.clone() for k, v in network.named_parameters()}
    network.train()
    re_estimate(network, iter(batches))
    handle.remove()
    values = torch.cat(seen).double()
    torch.testing.assert_close(
        first.running_mean.double(), values.mean((0, 2, 3)), atol=1e-4, rtol=1e-4
    )
    torch.testing.assert_close(
        first.running_var.double(), values.var((0, 2, 3), correction=0), atol=1e-4, rtol=1e-3
    )
    assert network.training
    assert all(torch.equal(v, weights[k]) for k, v in network.named_parameters())
    assert all(m.momentum != 0 for m in network.modules() if isinstance(m, nn.BatchNorm2d))


def test_a_part_of_the_statistics_can_be_kept(network: Network) -> None:
    first = network.body.bn1  # type: ignore[union-attr,operator]
    before = first.running_mean.clone()
    re_estimate(network, iter([images(3)]), keep=1.0)
    assert torch.equal(first.running_mean, before)


def test_a_kept_part_mixes_old_and_new(network: Network) -> None:
    first = network.body.bn1  # type: ignore[union-attr,operator]
    before = first.running_mean.clone()
    re_estimate(network, iter([images(3)]), keep=0.25)
    mixed = first.running_mean.clone()
    first.running_mean.copy_(before)
    re_estimate(network, iter([images(3)]), keep=0.0)
    torch.testing.assert_close(mixed, 0.25 * before + 0.75 * first.running_mean)


def test_batches_may_be_of_any_size(network: Network) -> None:
    """The first layer sees pixels only: its statistics are the same however they are divided."""
    first = network.body.bn1  # type: ignore[union-attr,operator]
    pixels = images(4)
    re_estimate(network, iter([pixels]))
    whole = first.running_mean.clone(), first.running_var.clone()
    re_estimate(network, iter([pixels[:1], pixels[1:]]))
    torch.testing.assert_close(first.running_mean, whole[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(first.running_var, whole[1], atol=1e-5, rtol=1e-4)


def test_the_network_is_left_as_it_was_after_an_error(network: Network) -> None:
    network.eval()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    wrong = torch.zeros(1, 96, 96, 4, dtype=torch.uint8)  # four channels
    with pytest.raises(RuntimeError):
        re_estimate(network, iter([wrong]))
    assert not network.training
    assert all(m.momentum != 0 for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_a_network_without_statistics_is_refused() -> None:
    tiny = TinyNetwork(TinyOptions(), (Label.MITOTIC,))
    with pytest.raises(RecipeError, match="no batch statistics") as caught:
        re_estimate(tiny, iter([images(1)]))
    assert caught.value.problems[0].way_out == "use mean-teacher"


def test_the_method_draws_as_many_patches_as_it_is_given(recipe: Recipe, network: Network) -> None:
    drawn: list[int] = []

    def draw(count: int):  # type: ignore[no-untyped-def]
        drawn.append(count)
        yield images(2)

    method = AdaBN(StatisticsOptions(method="adabn", patches=7), setting(recipe, network))
    before = network.body.bn1.running_mean.clone()  # type: ignore[union-attr,operator]
    method.finish(network, draw)
    assert drawn == [7]
    assert not torch.equal(network.body.bn1.running_mean, before)  # type: ignore[union-attr,operator,arg-type]
    assert AdaBN.unlabelled == "needed"
