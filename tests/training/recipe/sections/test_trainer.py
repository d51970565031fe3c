from __future__ import annotations

import pytest
from pydantic import ValidationError

from metaphase.labels.dataset import DOMAINS
from metaphase.training.recipe.sections import Trainer


def test_by_default_the_best_epoch_is_kept_on_any_hardware() -> None:
    default = Trainer()
    assert default.keep == "best"
    assert default.precision == default.accelerator == default.devices == "auto"
    assert default.early_stopping is None
    assert default.worst_of is None
    assert default.validate_every == 1


@pytest.mark.parametrize("by", DOMAINS)
def test_the_worst_of_any_kind_of_domain_can_decide(by: str) -> None:
    assert Trainer(worst_of=by).worst_of == by  # type: ignore[arg-type]


@pytest.mark.parametrize("devices", [1, 8, "auto"])
def test_devices_are_a_number_or_all(devices: int | str) -> None:
    assert Trainer(devices=devices).devices == devices  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("batch_size", 0),
        ("accumulate", 0),
        ("precision", "int8"),
        ("gradient_clip", -1.0),
        ("workers", -1),
        ("workers", 2000),
        ("accelerator", "tpu"),
        ("devices", 0),
        ("devices", "all"),
        ("nodes", 0),
        ("validate_every", 0),
        ("early_stopping", 0),
        ("worst_of", "hospital"),
        ("ema", 1.0),
        ("keep", "first"),
        ("cache_mb", -1),
    ],
)
def test_values_outside_their_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Trainer.model_validate({field: value})
    assert field in str(caught.value)


def test_zero_stands_for_none_where_it_can() -> None:
    """No limit of the gradient, no average of weights, no workers, no cache."""
    none = Trainer(gradient_clip=0.0, ema=0.0, workers=0, cache_mb=0)
    assert (none.gradient_clip, none.ema, none.workers, none.cache_mb) == (0, 0, 0, 0)
