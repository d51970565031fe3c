from __future__ import annotations

import numpy as np
import pytest

from metaphase.arrays import to_uint8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_rounded_and_clipped(dtype: type) -> None:
    values = np.array([-3, 0, 0.4, 0.5, 1.49, 254.5, 255, 300], dtype)
    assert to_uint8(values).tolist() == [0, 0, 0, 1, 1, 255, 255, 255]
