from __future__ import annotations

import numpy as np
import pytest

from metaphase.phantom.mitoses import PHASES, mitotic_figure
from tests.phantom.cells import dark_um2, offset_um


def test_frequencies_sum_to_one() -> None:
    assert sum(PHASES.values()) == pytest.approx(1)


@pytest.mark.parametrize("mpp", [0.23, 0.26])
@pytest.mark.parametrize("kind", PHASES)
def test_chromatin_is_dark_and_around_the_centre(kind: str, mpp: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(4):
        cell = mitotic_figure(rng, kind, mpp)
        assert offset_um(cell, mpp) < 2.0
        assert cell.h_add.max() > 0.9
        assert 5 < dark_um2(cell, mpp) < 150


@pytest.mark.parametrize("kind", PHASES)
def test_a_generator_gives_the_same_cell(kind: str) -> None:
    first, again, other = (mitotic_figure(np.random.default_rng(s), kind, 0.25) for s in (1, 1, 2))
    for a, b in zip(first.fields(), again.fields(), strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(first.h_add, other.h_add)
