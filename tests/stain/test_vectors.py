from __future__ import annotations

import numpy as np

from metaphase.stain.vectors import RUIFROK


def test_they_have_length_one_and_can_be_inverted() -> None:
    np.testing.assert_allclose(np.linalg.norm(RUIFROK, axis=1), 1, atol=0.01)
    assert abs(np.linalg.det(RUIFROK)) > 0.1


def test_eosin_absorbs_green_and_haematoxylin_more_red_than_eosin() -> None:
    assert RUIFROK[1].argmax() == 1
    assert RUIFROK[0, 0] > RUIFROK[1, 0]
