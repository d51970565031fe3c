from __future__ import annotations

import numpy as np

from metaphase.stain.colourstatistics import ColourStatistics, colour_statistics, transfer_colours
from tests.training.helpers import red_free_tissue


def test_statistics_move_to_those_of_the_target_and_white_stays():
    image = red_free_tissue(0, 64, 64)
    wanted = ColourStatistics(np.array([0.3, 0.9, 0.4]), colour_statistics(image).std)
    changed = colour_statistics(transfer_colours(image, colour_statistics(image), wanted, 1.0))
    np.testing.assert_allclose(changed.mean, wanted.mean, atol=0.02)
    halfway = colour_statistics(transfer_colours(image, colour_statistics(image), wanted, 0.5))
    middle = (colour_statistics(image).mean + wanted.mean) / 2
    np.testing.assert_allclose(halfway.mean, middle, atol=0.02)
    white = np.full((8, 8, 3), 255, np.uint8)
    assert (transfer_colours(white, colour_statistics(image), wanted, 1.0) == 255).all()
