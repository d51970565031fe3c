from __future__ import annotations

import pytest
from pydantic import ValidationError

from metaphase.radii import MATCH_RADIUS_UM, MERGE_RADIUS_UM
from metaphase.training.recipe.sections import Validation


def test_by_default_a_run_is_scored_as_every_user_scores() -> None:
    default = Validation()
    assert default.protocol == "regions"
    assert default.radius_um == MATCH_RADIUS_UM
    assert default.merge_radius_um == MERGE_RADIUS_UM
    assert default.threshold == "chosen"


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0, 1, "chosen"])
def test_a_threshold_is_a_score_or_chosen(threshold: float | str) -> None:
    assert Validation(threshold=threshold).threshold == threshold  # type: ignore[arg-type]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, "best", "0.5", None, True])
def test_another_threshold_is_refused(threshold: object) -> None:
    with pytest.raises(ValidationError, match="threshold"):
        Validation.model_validate({"threshold": threshold})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("protocol", "tiles"),
        ("min_score", -0.1),
        ("min_score", 1.0),  # nothing would be left
        ("radius_um", 0.0),
        ("radius_um", 7500.0),
        ("merge_radius_um", 0.0),
        ("merge_radius_um", float("inf")),
    ],
)
def test_values_outside_their_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Validation.model_validate({field: value})
    assert field in str(caught.value)
