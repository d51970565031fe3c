from __future__ import annotations

import pytest
import torch
from torch import nn

from metaphase.errors import RecipeError
from metaphase.models.networks import Network
from metaphase.training.adapt.base import Step, UnlabelledBatch, maps_and_features
from metaphase.training.adapt.methods.adabn import re_estimate
from metaphase.training.adapt.methods.gradient_reversal import (
    GradientReversal,
    ReversalOptions,
    pooled,
    reverse,
)
from metaphase.training.adapt.methods.mean_teacher import MeanTeacher, TeacherOptions, confidence
from metaphase.training.adapt.methods.worst_domain import BalanceOptions, WorstDomain
from metaphase.training.recipe.recipe import Recipe

from ..helpers import make_recipe
from .scenes import images, setting, target, tiny_network, unlabelled


@pytest.fixture
def recipe() -> Recipe:
    return make_recipe()


@pytest.fixture
def network() -> Network:
    return tiny_network()


def step_of(
    network: Network,
    targets: list[dict[str, torch.Tensor]],
    batch: UnlabelledBatch | None = None,
    progress: float = 1.0,
) -> Step:
    pixels = images(len(targets))
    maps, features = maps_and_features(network, pixels)
    losses = network.loss(maps, targets)  # type: ignore[arg-type]
    return Step(network, pixels, targets, maps, features, losses, batch, progress)


TWO = [target(0, (40, 40)), target(1, (50, 20))]


# --- gradient reversal


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


# --- worst domain


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


# --- statistics


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


# --- mean teacher


def teacher(recipe: Recipe, network: Network, **options: object) -> MeanTeacher:
    chosen = TeacherOptions.model_validate({"method": "mean-teacher", **options})
    return MeanTeacher(chosen, setting(recipe, network))


def sure_of(method: MeanTeacher, score: float) -> None:
    """Make the teacher see one figure in the middle of every patch, of this score."""
    logit = float(torch.logit(torch.tensor(score)))

    def say(tiles: torch.Tensor) -> tuple[torch.Tensor, ...]:
        side = tiles.shape[1] // 8
        logits = torch.full((len(tiles), 1, side, side), -9.0)
        logits[:, :, side // 2, side // 2] = logit
        return logits, torch.zeros(len(tiles), 2, side, side)

    method.teacher.forward = say  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("score", "progress", "figures", "left_out"),
    [(0.9, 0.0, 1, 0), (0.6, 0.0, 0, 1), (0.6, 1.0, 1, 0), (0.1, 1.0, 0, 0)],
    ids=["sure", "doubted at first", "believed later", "background"],
)
def test_what_the_teacher_says(
    recipe: Recipe, network: Network, score: float, progress: float, figures: int, left_out: int
) -> None:
    method = teacher(recipe, network)
    sure_of(method, score)
    (said,) = method.labels(unlabelled(1), progress, 0.5)
    assert len(said["points"]) == len(said["labels"]) == len(said["boxes"]) == figures
    assert len(said["ignore"]) == left_out
    if figures:
        assert said["points"].tolist() == [[52.0, 52.0]]


def test_masked_places_are_no_figures_and_no_background(recipe: Recipe, network: Network) -> None:
    method = teacher(recipe, network)
    sure_of(method, 0.99)
    (said,) = method.labels(unlabelled(1, ignore=[[40, 40, 60, 60]]), 1.0, 0.5)
    assert len(said["points"]) == 0
    assert said["ignore"].tolist() == [[40, 40, 60, 60]]


def test_the_teacher_teaches_only_later_in_a_run(recipe: Recipe, network: Network) -> None:
    method = teacher(recipe, network)
    assert "teacher" not in method.losses(step_of(network, TWO, unlabelled(), progress=0.1))
    assert "teacher" in method.losses(step_of(network, TWO, unlabelled(), progress=0.9))


def test_the_teacher_follows_slowly_and_is_not_trained(recipe: Recipe, network: Network) -> None:
    method = teacher(recipe, network, decay=0.9)
    assert not any(p.requires_grad for p in method.parameters())
    assert not method.train().teacher.training
    before = method.teacher.score.bias.clone()  # type: ignore[union-attr,operator]
    with torch.no_grad():
        network.score.bias += 1.0  # type: ignore[operator,union-attr]
    method.after_step(network)
    torch.testing.assert_close(method.teacher.score.bias, before + 0.1)  # type: ignore[union-attr]


def test_confidence_is_relative_to_the_operating_point() -> None:
    assert [confidence(c, 0.3) for c in (0, 0.5, 1)] == pytest.approx([0, 0.3, 1])
    assert confidence(0.75, 0.3) == pytest.approx(0.65)


def test_sure_is_above_doubt() -> None:
    with pytest.raises(ValueError, match="between doubt and 1"):
        TeacherOptions(method="mean-teacher", doubt=0.6)
