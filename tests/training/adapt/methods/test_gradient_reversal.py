from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import RecipeError
from metaphase.models.networks import Network
from metaphase.training.adapt.base import Step
from metaphase.training.adapt.methods.gradient_reversal import (
    GradientReversal,
    ReversalOptions,
    balanced,
    pooled,
    reverse,
)
from metaphase.training.recipe.recipe import Recipe
from tests.training.adapt.scenes import TWO, images, setting, step_of, target, unlabelled


def test_the_gradient_comes_back_reversed() -> None:
    x = torch.ones(3, requires_grad=True)
    (reverse(x, 0.5) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-0.5, -1.0, -1.5]


def test_the_classifier_learns_and_the_features_unlearn(recipe: Recipe, network: Network) -> None:
    options = ReversalOptions(method="gradient-reversal", strength=1.0)
    method = GradientReversal(options, setting(recipe, network))
    features = torch.randn(2, method.classifier[0].in_channels, 3, 3, requires_grad=True)
    maps = network(images(2))
    step = Step(network, images(2), TWO, maps, features, {}, None, 1.0)
    loss = method.losses(step)["domain"]
    loss.backward()
    assert features.grad is not None
    with torch.no_grad():  # a step down the gradient that arrives makes the domains harder to tell
        features -= 0.1 * features.grad
        assert method.losses(step)["domain"] > loss
        features += 0.2 * features.grad
        assert method.losses(step)["domain"] < loss


def test_unlabelled_patches_take_part(recipe: Recipe, network: Network) -> None:
    options = ReversalOptions(method="gradient-reversal")
    method = GradientReversal(options, setting(recipe, network))
    alone = method.losses(step_of(network, TWO))["domain"]
    both = method.losses(step_of(network, TWO, unlabelled()))["domain"]
    assert set(method.losses(step_of(network, TWO))) == {"score", "offset", "domain"}
    assert alone != both


def test_masked_places_tell_the_classifier_nothing() -> None:
    logits = torch.zeros(1, 2, 3, 3)
    logits[0, 1, 0, 0] = 9.0
    free = torch.zeros(0, 4)
    assert pooled(logits, [free], 96)[0].tolist() == [0.0, 1.0]
    over = torch.tensor([[0.0, 0.0, 20.0, 20.0]])
    assert pooled(logits, [over], 96)[0].tolist() == [0.0, 0.0]
    whole = torch.tensor([[-5.0, -5.0, 200.0, 200.0]])
    assert pooled(logits, [whole], 96).isfinite().all()


def test_one_domain_cannot_be_aligned(recipe: Recipe, network: Network) -> None:
    options = ReversalOptions(method="gradient-reversal")
    with pytest.raises(RecipeError, match="one domain only"):
        GradientReversal(options, setting(recipe, network, "A"))


@given(st.floats(0, 10), st.lists(st.floats(-5, 5), min_size=1, max_size=6))
def test_the_reversal_changes_no_value(strength: float, values: list[float]) -> None:
    x = torch.tensor(values, requires_grad=True)
    y = reverse(x, strength)
    assert torch.equal(y, x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.full_like(x, -strength))


def test_the_reversal_grows_over_the_run(recipe: Recipe, network: Network) -> None:
    """From none at the start to its whole strength at the end; the classifier always learns."""
    options = ReversalOptions(method="gradient-reversal", strength=1.0)
    method = GradientReversal(options, setting(recipe, network))
    sizes = []
    for progress in (0.0, 0.1, 1.0):
        step = step_of(network, TWO, progress=progress)
        features = step.features.detach().requires_grad_()  # type: ignore[union-attr]
        step.features = features
        method.zero_grad()
        method.losses(step)["domain"].backward()
        assert features.grad is not None
        sizes.append(float(features.grad.abs().sum()))
        assert method.classifier[0].weight.grad.abs().sum() > 0
    assert sizes[0] == 0
    assert 0 < sizes[1] < sizes[2]


def test_patches_of_several_domains_take_no_part(recipe: Recipe, network: Network) -> None:
    method = GradientReversal(ReversalOptions(method="gradient-reversal"), setting(recipe, network))
    mixed = [target(-1, (40, 40)), target(-1)]
    assert "domain" not in method.losses(step_of(network, mixed))
    one = [target(-1, (40, 40)), target(0)]
    assert "domain" in method.losses(step_of(network, one))


def test_the_weight_multiplies_the_loss(recipe: Recipe, network: Network) -> None:
    network.eval()
    losses = []
    for weight in (1.0, 3.0):
        torch.manual_seed(0)
        options = ReversalOptions(method="gradient-reversal", weight=weight)
        method = GradientReversal(options, setting(recipe, network))
        losses.append(float(method.losses(step_of(network, TWO))["domain"].detach()))
    assert losses[1] == pytest.approx(3 * losses[0], rel=1e-5)


def test_domains_count_alike_whatever_their_number_of_patches() -> None:
    losses = torch.tensor([1.0, 1.0, 1.0, 5.0])
    codes = torch.tensor([0, 0, 0, 1])
    assert float(balanced(losses, codes)) == 3.0


def test_making_the_classifier_leaves_the_network_as_it_was(
    recipe: Recipe, network: Network
) -> None:
    network.train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    GradientReversal(ReversalOptions(method="gradient-reversal"), setting(recipe, network))
    assert network.training
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
