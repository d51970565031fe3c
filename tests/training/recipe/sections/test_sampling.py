from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from metaphase.training.recipe.sections import Sampling, Shares

EPOCH = {"patches_per_epoch": 100}


def sampling(**fields: object) -> Sampling:
    return Sampling.model_validate({**EPOCH, **fields})


@pytest.mark.parametrize(
    "fields",
    [{}, {"patches_per_epoch": 10, "patches_per_case": 10}],
    ids=["neither", "both"],
)
def test_the_length_of_an_epoch_is_given_once(fields: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="either patches_per_epoch or patches_per_case"):
        Sampling.model_validate(fields)
    assert Sampling(patches_per_case=3).patches_per_epoch is None


@given(st.integers(32, 4096), st.integers(0, 2048))
def test_a_rim_leaves_room_for_figures(patch_px: int, rim_px: int) -> None:
    if 2 * rim_px < patch_px:
        assert sampling(patch_px=patch_px, rim_px=rim_px).rim_px == rim_px
    else:
        with pytest.raises(ValidationError, match="rim_px leaves no room in patch_px"):
            sampling(patch_px=patch_px, rim_px=rim_px)


def test_shares_are_relative_and_some_are_positive() -> None:
    assert Shares(mitotic=4.0, hard_negative=0.0, random=6.0).mitotic == 4.0
    with pytest.raises(ValidationError, match="at least one share must be positive"):
        Shares(mitotic=0.0, hard_negative=0.0, random=0.0)
    with pytest.raises(ValidationError):
        Shares(mitotic=-1.0)


def test_by_default_figures_lie_anywhere_and_scanners_alike() -> None:
    """The defaults are those without the report's traps."""
    default = sampling()
    assert default.scheme == "mixture"
    assert default.offset == "uniform"
    assert default.balance_by == "scanner"
    assert default.shares.hard_negative > 0
    total = default.shares.mitotic + default.shares.hard_negative + default.shares.random
    assert total == pytest.approx(1)


@pytest.mark.parametrize("parts", [(0.0,), (1.0,), (0.3, 1.5), (-0.1,)])
def test_mining_happens_within_the_run(parts: tuple[float, ...]) -> None:
    """At 0 nothing was learnt, at 1 nothing more is."""
    with pytest.raises(ValidationError):
        sampling(mine_at=parts)
    assert sampling(mine_at=(0.3, 0.6)).mine_at == (0.3, 0.6)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("patch_px", 16),
        ("patches_per_epoch", 0),
        ("scheme", "exercises"),
        ("offset", "corner"),
        ("balance_by", "hospital"),
        ("balance_cases", 1.5),
        ("crops_share", 1.1),
        ("crops_mosaics", -0.1),
        ("mine_score", 2.0),
        ("mined_weight", -1.0),
    ],
)
def test_values_outside_their_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        sampling(**{field: value})
    assert field in str(caught.value)
