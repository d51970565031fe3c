from __future__ import annotations

import numpy as np
import pytest

from metaphase import matmul as module
from metaphase.matmul import covariance, matmul

rng = np.random.default_rng(0)


ROWS = pytest.mark.parametrize("rows", [5, 6_666, 6_667, 13_333, 36_864, 65_536, 70_001])


@ROWS
def test_three_colours_in_pieces_are_identical(rows):
    tall = rng.random((rows, 3), dtype=np.float32)
    small = rng.random((3, 3), dtype=np.float32)
    product = matmul(tall, small)
    assert product.dtype == np.float32
    assert np.array_equal(product, tall @ small)


@ROWS
def test_one_column_in_pieces_is_the_same_up_to_rounding(rows):
    """BLAS has another routine for vectors, whose rounding depends on the length."""
    tall = rng.random((rows, 3), dtype=np.float32)
    small = rng.random((3, 1), dtype=np.float32)
    np.testing.assert_allclose(matmul(tall, small), tall @ small, rtol=1e-6)


@pytest.mark.parametrize("stacked", [(), (3,)])
def test_long_sums_in_pieces_are_the_same(stacked):
    tall = rng.random((*stacked, 300, 256), dtype=np.float32)
    small = rng.random((256, 7), dtype=np.float32)
    np.testing.assert_allclose(matmul(tall, small), tall @ small, rtol=1e-5)
    few, many = tall[..., :25, :].reshape(-1, 256)[:25], rng.random((3, 256, 13))
    np.testing.assert_allclose(matmul(few, many), few @ many, rtol=1e-5)


def test_long_products_are_cut(monkeypatch):
    lengths = []
    product = np.matmul
    monkeypatch.setattr(
        module.np, "matmul", lambda a, b, out: lengths.append(len(a)) or product(a, b, out=out)
    )
    matmul(rng.random((65_536, 3)), rng.random((3, 3)))
    assert sum(lengths) == 65_536
    assert max(lengths) * 9 < 262_144


def test_complex_and_whole_numbers():
    waves = np.exp(1j * rng.random((64, 9))).astype(np.complex64)
    planes = rng.random((3, 4000, 64)).astype(np.float32)
    np.testing.assert_allclose(matmul(planes, waves), planes @ waves, rtol=1e-4)
    assert matmul(np.ones((2, 3), int), np.ones((3, 2))).dtype == np.float64


@pytest.mark.parametrize("n", [2, 100, 80_000])
def test_covariance_is_numpys(n):
    values = rng.random((n, 3), dtype=np.float32) * (1, 5, 0.1) + (0, 3, 100)
    np.testing.assert_allclose(covariance(values), np.cov(values, rowvar=False), rtol=1e-6)
