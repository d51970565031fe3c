"""Synthetic scanners differ as real ones do, and treat everything in an image alike."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.arrays import Pixels
from metaphase.errors import InputError
from metaphase.phantom.region import render_region
from metaphase.phantom.scanners import SCANNERS, find_scanner, scan


@pytest.fixture(scope="module")
def looks() -> dict[str, Pixels]:
    """The same dyes, seen by every scanner."""
    rng = np.random.default_rng(0)
    blue = np.kron(rng.random((40, 40)) < 0.2, np.ones((8, 8))).astype(np.float32) * 1.5
    pink = np.full_like(blue, 0.5)
    return {s.name: scan(np.random.default_rng(1), blue, pink, s) for s in SCANNERS}


def test_glass_is_nearly_white_for_all() -> None:
    zero = np.zeros((64, 64), np.float32)
    for scanner in SCANNERS:
        glass = scan(np.random.default_rng(0), zero, zero, scanner)
        assert 215 < glass.mean() < 250
        assert glass.mean((0, 1)) == pytest.approx(scanner.white, abs=4)


def test_scanners_differ_in_colour(looks: dict[str, Pixels]) -> None:
    means = [p.mean((0, 1)) for p in looks.values()]
    for i, one in enumerate(means):
        for other in means[:i]:
            assert np.linalg.norm(one - other) > 10


def test_scanners_differ_in_sharpness(looks: dict[str, Pixels]) -> None:
    def sharpness(pixels: Pixels) -> float:
        grey = pixels.mean(2)
        return float(np.abs(np.diff(grey, axis=1)).max() / (grey.max() - grey.min()))

    found = {name: sharpness(p) for name, p in looks.items()}
    assert found["Synthetic C"] > 1.1 * found["Synthetic A"]
    assert found["Synthetic A"] > 1.1 * found["Synthetic B"] > 1.2 * found["Synthetic D"]


def test_resolutions_are_those_of_40x() -> None:
    assert len({s.mpp for s in SCANNERS}) == len(SCANNERS)
    assert all(0.22 <= s.mpp <= 0.26 for s in SCANNERS)


def test_haematoxylin_is_blue_and_eosin_pink() -> None:
    none, much = np.zeros((32, 32), np.float32), np.ones((32, 32), np.float32)
    for scanner in SCANNERS:
        blue = scan(np.random.default_rng(0), much, none, scanner).mean((0, 1))
        pink = scan(np.random.default_rng(0), none, much, scanner).mean((0, 1))
        assert blue[2] > blue[0]
        assert pink[0] > pink[2] > pink[1]


def test_scanners_are_found_by_name_or_letter() -> None:
    assert find_scanner("synthetic b") is find_scanner("B") is SCANNERS[1]
    with pytest.raises(InputError, match="Synthetic A"):
        find_scanner("E")


def test_a_region_at_another_scanner_keeps_its_size_in_um() -> None:
    pixels, _ = render_region(0, 200, 160, "D")
    assert pixels.shape == (160, 200, 3)
