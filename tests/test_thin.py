from __future__ import annotations

import numpy as np
import pytest

from metaphase import thin
from metaphase.thin import covariance, times

rng = np.random.default_rng(0)


@pytest.mark.parametrize("rows", [5, 6_666, 6_667, 13_333, 36_864, 65_536, 70_001])
@pytest.mark.parametrize("columns", [1, 3])
def test_colours_in_pieces_are_the_same_to_the_bit(rows, columns):
    tall = rng.random((rows, 3), dtype=np.float32)
    small = rng.random((3, columns), dtype=np.float32)
    found = times(tall, small)
    assert found.dtype == np.float32
    assert np.array_equal(found, tall @ small)


@pytest.mark.parametrize("stacked", [(), (3,)])
def test_long_sums_in_pieces_are_the_same(stacked):
    tall = rng.random((*stacked, 300, 256), dtype=np.float32)
    small = rng.random((256, 7), dtype=np.float32)
    np.testing.assert_allclose(times(tall, small), tall @ small, rtol=1e-5)
    few, many = tall[..., :25, :].reshape(-1, 256)[:25], rng.random((3, 256, 13))
    np.testing.assert_allclose(times(few, many), few @ many, rtol=1e-5)


def test_it_is_cut(monkeypatch):
    """Or nothing would be saved."""
    lengths = []
    product = np.matmul
    monkeypatch.setattr(
        thin.np, "matmul", lambda a, b, out: lengths.append(len(a)) or product(a, b, out=out)
    )
    times(rng.random((65_536, 3)), rng.random((3, 3)))
    assert sum(lengths) == 65_536
    assert max(lengths) * 9 < 262_144


def test_complex_and_whole_numbers():
    waves = np.exp(1j * rng.random((64, 9))).astype(np.complex64)
    planes = rng.random((3, 4000, 64)).astype(np.float32)
    np.testing.assert_allclose(times(planes, waves), planes @ waves, rtol=1e-4)
    assert times(np.ones((2, 3), int), np.ones((3, 2))).dtype == np.float64


@pytest.mark.parametrize("n", [2, 100, 80_000])
def test_covariance_is_numpys(n):
    values = rng.random((n, 3), dtype=np.float32) * (1, 5, 0.1) + (0, 3, 100)
    np.testing.assert_allclose(covariance(values), np.cov(values, rowvar=False), rtol=1e-6)
