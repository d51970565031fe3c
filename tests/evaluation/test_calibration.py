import numpy as np
import pytest

from metaphase.evaluation.calibration import calibration


def test_calibration_by_hand():
    found = calibration([0.05, 0.15, 0.15, 1.0], [0, 0, 1, 1])
    assert found.count == (1, 2, 0, 0, 0, 0, 0, 0, 0, 1)
    assert found.right[:3] == (0, 0.5, None)
    assert found.ece == pytest.approx((0.05 + 2 * 0.35 + 0) / 4)
    assert found.brier == pytest.approx((0.05**2 + 0.15**2 + 0.85**2) / 4)


def test_calibrated_scores_have_a_small_error_and_no_scores_have_none():
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=20_000)
    assert calibration(scores, rng.uniform(size=20_000) < scores).ece < 0.02
    assert calibration(scores, rng.uniform(size=20_000) < scores / 2).ece > 0.2
    assert calibration([], []).ece is None
