from __future__ import annotations

import warnings

import pytest

from metaphase.training.fit.schedule import rate_factor, rates
from metaphase.training.recipe.sections import Optimiser


@pytest.mark.parametrize(("steps", "warmup"), [(100, 0.3), (37, 0.3), (11, 0.1), (50, 0.5)])
def test_onecycle_is_pytorchs(steps, warmup):
    torch = pytest.importorskip("torch")
    settings = Optimiser(learning_rate=1e-3, warmup=warmup)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 1e-3, total_steps=steps, pct_start=warmup
    )
    theirs = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # steps of the schedule without steps of the optimiser
        for _ in range(steps):
            theirs.append(schedule.get_last_lr()[0])
            if len(theirs) < steps:
                schedule.step()
    assert rates(settings, steps_per_epoch=steps, epochs=1) == pytest.approx(theirs, rel=1e-9)


def test_moved_once_an_epoch_the_rate_never_gets_far():
    """The report's run: 119 slides, 10 patches each, batches of 30, 2,400 epochs from 1e-4."""
    run = Optimiser(learning_rate=1e-4, schedule_step="epoch")
    course = rates(run, steps_per_epoch=40, epochs=2400)
    assert min(course) == pytest.approx(4e-6)
    assert max(course) < 7e-6
    put_right = run.model_copy(update={"schedule_step": "step"})
    assert max(rates(put_right, steps_per_epoch=40, epochs=2400)) == pytest.approx(1e-4, rel=1e-4)


@pytest.mark.parametrize("kind", ["onecycle", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 200])
def test_every_schedule_stays_between_nothing_and_its_peak(kind, warmup, steps):
    settings = Optimiser(schedule=kind, warmup=warmup)
    course = [rate_factor(settings, step, steps) for step in range(steps + 3)]
    assert all(0 <= factor <= 1 + 1e-9 for factor in course)
    assert steps < 10 or max(course) > 0.9
    if kind == "constant":
        assert course[-1] == 1 or steps * warmup > steps - 1
    elif steps >= 10:
        assert course[steps - 1] < 0.1
