from __future__ import annotations

import numpy as np

from metaphase.training.patches.colourtransfer import Look, look_of, recolour
from tests.training.helpers import red_free_tissue


def test_recolouring_moves_the_look_and_leaves_white():
    image = red_free_tissue(0, 64, 64)
    wanted = Look(np.array([0.3, 0.9, 0.4]), look_of(image).std)
    changed = look_of(recolour(image, look_of(image), wanted, 1.0))
    np.testing.assert_allclose(changed.mean, wanted.mean, atol=0.02)
    halfway = look_of(recolour(image, look_of(image), wanted, 0.5))
    middle = (look_of(image).mean + wanted.mean) / 2
    np.testing.assert_allclose(halfway.mean, middle, atol=0.02)
    white = np.full((8, 8, 3), 255, np.uint8)
    assert (recolour(white, look_of(image), wanted, 1.0) == 255).all()
