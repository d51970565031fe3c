from __future__ import annotations

import pytest
import torch
from torch import nn

from metaphase.figures import Label
from metaphase.models.networks import Network
from metaphase.training.adapt.base import (
    Method,
    Step,
    body_of,
    domain_codes,
    maps_and_features,
    recorded_features,
)
from metaphase.training.adapt.options import AdaptOptions
from tests.models.tiny import TinyNetwork, TinyOptions
from tests.training.adapt.scenes import images, setting, target, tiny_network
from tests.training.helpers import make_recipe


@pytest.fixture(scope="module")
def network() -> Network:
    return tiny_network().eval()


def test_the_deepest_features_are_given_beside_the_maps(network: Network) -> None:
    maps, features = maps_and_features(network, images(2))
    plain = network(images(2))
    assert all(torch.equal(a, b) for a, b in zip(maps, plain, strict=True))
    deepest = network.body(network.normalise(images(2)))[-1]  # type: ignore[operator]
    assert torch.equal(features, deepest)
    assert features.shape[-1] == 96 // 32


def test_features_of_every_pass_are_recorded_until_the_end(network: Network) -> None:
    with recorded_features(network) as features:
        for count in (1, 3):
            network(images(count))
    network(images(2))
    assert [len(f) for f in features] == [1, 3]


def test_an_error_within_stops_the_recording(network: Network) -> None:
    kept: list[list[torch.Tensor]] = []

    def fail() -> None:
        with recorded_features(network) as features:
            kept.append(features)
            network(images(1))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    network(images(2))
    assert [len(f) for f in kept[0]] == [1]


def test_features_may_be_a_table_a_list_or_a_tensor() -> None:
    """Bodies return the one or the other; the last of them is the deepest."""

    class Body(nn.Module):
        def __init__(self, form: str) -> None:
            super().__init__()
            self.form = form

        def forward(self, x: torch.Tensor) -> object:
            levels = [x, x + 1]
            if self.form == "table":
                return {"0": levels[0], "1": levels[1]}
            return levels if self.form == "list" else levels[1]

    for form in ("table", "list", "tensor"):
        net = TinyNetwork(TinyOptions(), (Label.MITOTIC,))
        net.body = Body(form)
        with recorded_features(net) as features:
            net.body(torch.zeros(1))
        assert features[0].item() == 1, form


def test_a_network_without_a_body_is_told() -> None:
    with pytest.raises(ValueError, match="a network of kind 'tiny' has no body"):
        body_of(TinyNetwork(TinyOptions(), (Label.MITOTIC,)))


def test_the_body_may_lie_within_a_part() -> None:
    net = TinyNetwork(TinyOptions(), (Label.MITOTIC,))
    net.detector = nn.Module()
    net.detector.body = nn.Identity()
    assert body_of(net) is net.detector.body


def test_the_codes_of_the_domains_are_those_of_the_targets() -> None:
    assert domain_codes([target(2), target(0), target(-1)]) == [2, 0, -1]
    assert domain_codes([]) == []


def test_a_method_that_overrides_nothing_changes_nothing(network: Network) -> None:
    method = Method(AdaptOptions(method="none"), setting(make_recipe(), network))
    losses = {"score": torch.tensor(1.0)}
    step = Step(network, None, [], (), None, losses, None, 0.5)
    assert method.losses(step) is losses
    before = {k: v.clone() for k, v in network.state_dict().items()}
    method.after_step(network)
    method.finish(network, None)
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert method.unlabelled == "unused"
    assert not list(method.parameters())


def test_a_step_gives_maps_and_features_of_other_images(network: Network) -> None:
    step = Step(network, None, [], (), None, {}, None, 0.0)
    maps, features = step.maps_and_features(images(1))
    assert maps[0].shape == (1, 1, 12, 12)
    assert features.shape[0] == 1
    assert step.operating_point == 0.5
