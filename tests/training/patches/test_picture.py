from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metaphase.stain.colourstatistics import ColourStatistics
from metaphase.training.patches.picture import Picture


@given(turn=st.integers(0, 7))
def test_a_turned_picture_keeps_its_figure_under_its_point(turn):
    image = np.zeros((30, 40, 3), np.uint8)
    image[10, 30] = 255
    point, box = np.array([[30.5, 10.5]]), np.array([[28.5, 8.5, 32.5, 12.5]])
    look = ColourStatistics(np.ones(3), np.ones(3))
    picture = Picture(image, look, point, box, np.zeros(1, np.int64), point[0])
    turned = picture.symmetric(turn)
    x, y = turned.points[0]
    assert turned.image[int(y), int(x)].min() == 255
    assert np.array_equal(turned.centre, turned.points[0])
    assert np.allclose(turned.boxes, [[x - 2, y - 2, x + 2, y + 2]])
