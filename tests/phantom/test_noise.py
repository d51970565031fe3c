"""Noise has the scale and the spread that it is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.phantom.noise import fibres, smooth_noise


@pytest.mark.parametrize("scale", [1.0, 2.5, 8.0])
def test_noise_has_mean_zero_and_variance_one(scale: float) -> None:
    field = smooth_noise(np.random.default_rng(0), 400, 500, scale)
    assert field.shape == (400, 500)
    assert field.dtype == np.float32
    assert abs(field.mean()) < 0.1
    assert field.std() == pytest.approx(1, abs=0.1)


def test_noise_changes_over_its_scale() -> None:
    def step(scale: float) -> float:
        field = smooth_noise(np.random.default_rng(0), 300, 300, scale)
        return float(np.abs(np.diff(field, axis=1)).mean())

    assert step(2) > 2.5 * step(8) > 5 * step(32)


def test_noise_is_smaller_than_its_own_scale() -> None:
    assert smooth_noise(np.random.default_rng(0), 3, 5, 100).shape == (3, 5)


def test_fibres_run_along_their_direction() -> None:
    field, angle = fibres(np.random.default_rng(3), 256, 256, 0.25)
    dy, dx = np.gradient(field)
    along = np.abs(dx * np.cos(angle) + dy * np.sin(angle)).mean()
    across = np.abs(dy * np.cos(angle) - dx * np.sin(angle)).mean()
    assert across > 1.3 * along
