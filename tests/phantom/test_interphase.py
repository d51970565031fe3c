from __future__ import annotations

import numpy as np
import pytest

from metaphase.phantom.interphase import EPITHELIAL, LYMPHOID, STROMAL, Kind, nuclei
from tests.phantom.cells import offset_um


@pytest.mark.parametrize("kind", [EPITHELIAL, STROMAL, LYMPHOID])
def test_nuclei_are_different_centred_and_of_the_size_of_their_kind(kind: Kind) -> None:
    mpp = 0.25
    cells = nuclei(np.random.default_rng(0), kind, 12, mpp)
    assert len({cell.h_add.tobytes() for cell in cells}) == 12
    for cell in cells:
        assert offset_um(cell, mpp) < 2.5
        area = (cell.h_keep < 0.5).sum() * mpp**2
        low, high = (np.pi * radius**2 for radius in kind.radius_um)
        assert 0.6 * low < area < 1.5 * high


def test_nuclei_can_point_along_a_direction() -> None:
    cells = nuclei(np.random.default_rng(0), STROMAL, 40, 0.25, direction=0.0)
    wide = [np.ptp(np.nonzero(cell.h_keep < 0.5)[1]) for cell in cells]
    high = [np.ptp(np.nonzero(cell.h_keep < 0.5)[0]) for cell in cells]
    assert np.mean(wide) > 1.3 * np.mean(high)


def test_a_kind_can_be_scaled() -> None:
    assert EPITHELIAL.scaled(2.0).radius_um == tuple(2 * r for r in EPITHELIAL.radius_um)
