from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from metaphase.models.networks import Network
from metaphase.training.adapt.base import Method, Step
from metaphase.training.adapt.options import AdaptOptions
from metaphase.training.fit.module import DetectorModule
from metaphase.training.fit.regionvalidation import Scored
from metaphase.training.fit.schedule import rate_factor
from tests.training.adapt.scenes import images, setting, target, tiny_network, unlabelled
from tests.training.helpers import make_recipe

SCORED = Scored(f1=0.8, precision=0.7, recall=0.9, threshold=0.35)


class Scorer:
    """Notes what it is given instead of scoring it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.maps: list[list[np.ndarray]] = []
        self.tiles: list[object] = []
        self.curve = None

    def reset(self) -> None:
        self.calls.append("reset")

    def add(self, maps: list[np.ndarray], tiles: object) -> None:
        self.maps.append(maps)
        self.tiles.append(tiles)

    def gather(self) -> None:
        self.calls.append("gather")

    def score(self) -> Scored:
        self.calls.append("score")
        return SCORED


class Doubling(Method):
    """Adds a part to the loss, and notes the steps."""

    name = "doubling"

    def __init__(self, network: Network, amount: float = 1.0) -> None:
        super().__init__(AdaptOptions(method="doubling"), setting(make_recipe(), network))
        self.amount = torch.nn.Parameter(torch.tensor(amount))
        self.steps: list[Step] = []
        self.after = 0

    def losses(self, step: Step) -> dict[str, torch.Tensor]:
        self.steps.append(step)
        return {**step.losses, f"extra{len(step.losses)}": self.amount}

    def after_step(self, network: Network) -> None:
        self.after += 1


@pytest.fixture
def network() -> Network:
    return tiny_network()


@pytest.fixture
def logged() -> dict[str, float]:
    return {}


def module(
    network: Network,
    logged: dict[str, float],
    *methods: Method,
    steps: int = 10,
    **sections: Any,
) -> DetectorModule:
    built = DetectorModule(
        network,
        make_recipe(**sections),
        steps=steps,
        scorer=Scorer(),  # type: ignore[arg-type]
        methods=methods,
    )
    built.log_dict = lambda values, **how: logged.update(  # type: ignore[method-assign,assignment]
        {name: float(value) for name, value in values.items()}
    )
    return built


BATCH = (images(2), [target(0, (40, 40)), target(1)])


# --- a step of training


def test_the_loss_is_the_sum_of_its_parts(network: Network, logged: dict[str, float]) -> None:
    total = module(network.eval(), logged).training_step(BATCH, 0)
    parts = network.loss(network(BATCH[0]), BATCH[1])  # type: ignore[arg-type]
    expected = sum(float(part.detach()) for part in parts.values())
    assert float(total.detach()) == pytest.approx(expected, rel=1e-5)
    assert set(logged) == {"train/loss", "train/loss_score", "train/loss_offset"}
    assert logged["train/loss"] == pytest.approx(float(total.detach()))
    assert total.requires_grad


def test_methods_change_the_loss_in_their_order(network: Network, logged: dict[str, float]) -> None:
    first, second = Doubling(network, 2.0), Doubling(network, 3.0)
    plain = module(network.eval(), {}).training_step(BATCH, 0)
    total = module(network, logged, first, second).training_step(BATCH, 0)
    assert float(total.detach()) == pytest.approx(float(plain.detach()) + 5, rel=1e-5)
    assert set(first.steps[0].losses) >= {"score", "offset", "extra2"}
    assert logged["train/loss_extra2"] == 2
    assert logged["train/loss_extra3"] == 3


def test_methods_get_what_a_step_knows(network: Network, logged: dict[str, float]) -> None:
    method = Doubling(network)
    built = module(network, logged, method)
    batch = unlabelled(1)
    built.training_step({"labelled": BATCH, "unlabelled": batch}, 0)
    (step,) = method.steps
    assert step.unlabelled is batch
    assert step.images is BATCH[0]
    assert step.targets == BATCH[1]
    assert step.features is not None
    assert step.features.shape[0] == 2
    assert (step.progress, step.operating_point) == (0.0, 0.5)
    built.scored = SCORED
    built.training_step(BATCH, 0)
    assert method.steps[1].operating_point == SCORED.threshold
    assert method.steps[1].unlabelled is None


def test_without_methods_unlabelled_patches_are_left_out(
    network: Network, logged: dict[str, float]
) -> None:
    built = module(network.eval(), logged)
    both = built.training_step({"labelled": BATCH, "unlabelled": unlabelled(1)}, 0)
    assert torch.equal(both, built.training_step(BATCH, 0))


def test_methods_act_after_every_step(network: Network, logged: dict[str, float]) -> None:
    method = Doubling(network)
    built = module(network, logged, method)
    for _ in range(3):
        built.on_train_batch_end(None, None, 0)
    assert method.after == 3


# --- seeds


def test_what_is_random_in_the_network_depends_on_the_step_alone(
    network: Network, logged: dict[str, float]
) -> None:
    def drawn(index: int, seed: int = 0) -> float:
        built = module(network, logged, seed=seed)
        torch.manual_seed(index + 1000)  # whatever came before
        built.on_train_batch_start(BATCH, index)
        return float(torch.rand(1))

    assert drawn(3) == drawn(3)
    assert len({drawn(0), drawn(1), drawn(2), drawn(0, seed=1)}) == 4


# --- validation


def test_a_batch_of_tiles_goes_to_the_scorer(network: Network, logged: dict[str, float]) -> None:
    built = module(network.eval(), logged)
    tiles = [("a", 0), ("a", 1)]
    with torch.no_grad():
        built.validation_step((*BATCH, tiles), 0)
        maps = network(BATCH[0])
    scorer: Scorer = built.scorer  # type: ignore[assignment]
    assert scorer.tiles == [tiles]
    for got, expected in zip(scorer.maps[0], maps, strict=True):
        np.testing.assert_allclose(got, expected.numpy(), atol=1e-6)
    assert {"validation/loss", "validation/loss_score"} <= set(logged)


def trainer(**fields: Any) -> Any:
    values = {
        "sanity_checking": False,
        "is_global_zero": True,
        "loggers": [],
        "global_step": 4,
        "current_epoch": 0,
    }
    return SimpleNamespace(**{**values, **fields})


@pytest.fixture
def validated(network: Network, logged: dict[str, float]) -> Iterator[DetectorModule]:
    built = module(network, logged)
    built.trainer = trainer()
    yield built
    built.trainer = None  # type: ignore[assignment]


def test_an_epoch_is_scored_over_all_cases(
    validated: DetectorModule, logged: dict[str, float]
) -> None:
    validated.on_validation_epoch_start()
    validated.on_validation_epoch_end()
    scorer: Scorer = validated.scorer  # type: ignore[assignment]
    assert scorer.calls == ["reset", "gather", "score"]
    assert validated.scored == SCORED
    assert logged == {f"validation/{name}": value for name, value in SCORED.values().items()}


def test_a_check_before_the_run_is_not_scored(
    validated: DetectorModule, logged: dict[str, float]
) -> None:
    validated.trainer = trainer(sanity_checking=True)
    validated.on_validation_epoch_end()
    assert validated.scored is None
    assert logged == {}


# --- the optimiser


@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_the_schedule_is_that_of_the_recipe(
    network: Network, logged: dict[str, float], interval: str
) -> None:
    optimiser = {"learning_rate": 0.5, "schedule_step": interval}
    built = module(network, logged, steps=20, optimiser=optimiser)
    made = built.configure_optimizers()
    assert made["lr_scheduler"]["interval"] == interval
    schedule = made["lr_scheduler"]["scheduler"]
    expected = 0.5 * rate_factor(built.recipe.optimiser, 0, 20)
    assert schedule.get_last_lr()[0] == pytest.approx(expected)


def test_parameters_of_methods_are_trained_too(network: Network, logged: dict[str, float]) -> None:
    method = Doubling(network)
    made = module(network, logged, method).configure_optimizers()["optimizer"]
    trained = {id(p) for group in made.param_groups for p in group["params"]}
    assert id(method.amount) in trained
    assert {id(p) for p in network.parameters() if p.requires_grad} <= trained


def test_methods_are_in_the_checkpoint_and_not_in_the_network(
    network: Network, logged: dict[str, float]
) -> None:
    built = module(network, logged, Doubling(network))
    assert "methods.0.amount" in built.state_dict()
    assert not any("amount" in name for name in built.network.state_dict())
