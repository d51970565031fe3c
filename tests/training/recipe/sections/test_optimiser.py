from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from metaphase.training.fit.optimiser import make_optimiser
from metaphase.training.fit.schedule import rates
from metaphase.training.recipe.sections import Optimiser


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd"])
def test_every_kind_is_one_that_can_be_made(kind: str) -> None:
    made = make_optimiser(torch.nn.Linear(2, 2), Optimiser(kind=kind, learning_rate=0.5))  # type: ignore[arg-type]
    assert type(made).__name__.lower() == kind
    assert {group["lr"] for group in made.param_groups} == {0.5}


@pytest.mark.parametrize("schedule", ["onecycle", "cosine", "constant"])
def test_every_schedule_reaches_the_learning_rate_and_no_more(schedule: str) -> None:
    settings = Optimiser(schedule=schedule, learning_rate=0.02)  # type: ignore[arg-type]
    course = rates(settings, steps_per_epoch=50, epochs=4)
    assert max(course) == pytest.approx(0.02, rel=0.02)
    assert min(course) > 0 or schedule == "cosine"


def test_by_default_the_schedule_advances_with_every_step() -> None:
    default = rates(Optimiser(), steps_per_epoch=50, epochs=2)
    trap = rates(Optimiser(schedule_step="epoch"), steps_per_epoch=50, epochs=2)
    assert max(default) > 5 * max(trap)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "lion"),
        ("learning_rate", 0.0),
        ("learning_rate", 11.0),
        ("weight_decay", -1e-4),
        ("momentum", 1.0),
        ("backbone_factor", -1.0),
        ("schedule", "linear"),
        ("schedule_step", "batch"),
        ("warmup", 1.0),
    ],
)
def test_values_outside_their_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Optimiser.model_validate({field: value})
    assert field in str(caught.value)


def test_a_backbone_may_be_left_as_it_is() -> None:
    assert Optimiser(backbone_factor=0.0).backbone_factor == 0.0
    assert Optimiser(warmup=0.0).warmup == 0.0
