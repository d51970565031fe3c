from __future__ import annotations

import pytest
import torch

from metaphase.errors import RecipeError
from metaphase.models.networks import Network
from metaphase.training.adapt.methods.worst_domain import BalanceOptions, WorstDomain
from metaphase.training.recipe.recipe import Recipe
from tests.training.adapt.scenes import setting, step_of, target


def test_the_weight_goes_to_the_domain_that_does_worse(recipe: Recipe, network: Network) -> None:
    method = WorstDomain(
        BalanceOptions(method="worst-domain", step_size=0.5), setting(recipe, network, "A", "B")
    )
    targets = [target(0), target(1, (40, 40), (60, 60))]  # an untrained network misses figures
    for _ in range(5):
        losses = method.losses(step_of(network, targets))
    assert method.weights[1] > 2 * method.weights[0]
    assert method.weights.max() <= method.options.largest
    assert set(losses) == {"score", "offset"}


def test_fixed_weights_weigh(recipe: Recipe, network: Network) -> None:
    network.eval()

    def total(**weights: float) -> float:
        options = BalanceOptions(method="worst-domain", step_size=0, weights=weights)
        method = WorstDomain(options, setting(recipe, network, "A", "B"))
        step = step_of(network, [target(0), target(1, (40, 40))])
        return float(sum(part.detach() for part in method.losses(step).values()))

    alone = [step_of(network, [target(0), target(1, (40, 40))])]
    parts = []
    for i in range(2):
        maps = tuple(m[i : i + 1] for m in alone[0].maps)
        loss = network.loss(maps, alone[0].targets[i : i + 1])  # type: ignore[arg-type]
        parts.append(float(sum(p.detach() for p in loss.values())))
    assert total() == pytest.approx((parts[0] + parts[1]) / 2, rel=1e-4)
    assert total(A=3.0) == pytest.approx(0.75 * parts[0] + 0.25 * parts[1], rel=1e-4)


def test_weights_of_unknown_domains_are_refused(recipe: Recipe, network: Network) -> None:
    options = BalanceOptions(method="worst-domain", weights={"Z": 2.0})
    with pytest.raises(RecipeError, match="Z is no domain"):
        WorstDomain(options, setting(recipe, network))


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_weights_are_positive(recipe: Recipe, network: Network, weight: float) -> None:
    options = BalanceOptions(method="worst-domain", weights={"A": weight})
    with pytest.raises(RecipeError, match="positive weight") as caught:
        WorstDomain(options, setting(recipe, network))
    assert caught.value.problems[0].record == "adapt.weights"
    assert caught.value.problems[0].way_out == "domains are A, B, N"


def test_weights_stay_where_the_step_is_0(recipe: Recipe, network: Network) -> None:
    options = BalanceOptions(method="worst-domain", step_size=0, weights={"B": 2.0})
    method = WorstDomain(options, setting(recipe, network, "A", "B"))
    before = method.weights.clone()
    method.losses(step_of(network, [target(0), target(1, (40, 40))]))
    assert torch.equal(method.weights, before)
    assert before.tolist() == [1.0, 2.0, 1.0]  # the last one is of patches of several domains


def test_a_domain_that_is_absent_from_a_step_keeps_its_weight_relative_to_others(
    recipe: Recipe, network: Network
) -> None:
    options = BalanceOptions(method="worst-domain", step_size=0.1)
    method = WorstDomain(options, setting(recipe, network, "A", "B", "N"))
    method.losses(step_of(network, [target(0, (40, 40))]))
    assert method.weights[0] > method.weights[1] == method.weights[2]
    assert float(method.weights.mean()) == pytest.approx(1, rel=1e-5)


def test_patches_of_several_domains_have_a_weight_too(recipe: Recipe, network: Network) -> None:
    options = BalanceOptions(method="worst-domain", step_size=0.1)
    method = WorstDomain(options, setting(recipe, network, "A", "B"))
    losses = method.losses(step_of(network, [target(-1, (40, 40)), target(0)]))
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert method.weights[-1] != 1


def test_the_weights_are_kept_in_checkpoints(recipe: Recipe, network: Network) -> None:
    options = BalanceOptions(method="worst-domain", step_size=0.5)
    first, second = (WorstDomain(options, setting(recipe, network, "A", "B")) for _ in range(2))
    first.losses(step_of(network, [target(0), target(1, (40, 40))]))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.weights, second.weights)


def test_a_step_without_labels_is_left_alone(recipe: Recipe, network: Network) -> None:
    options = BalanceOptions(method="worst-domain")
    method = WorstDomain(options, setting(recipe, network))
    step = step_of(network, [target(0)])
    step.targets = []
    assert method.losses(step) is step.losses
