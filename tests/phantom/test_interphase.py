"""Nuclei in interphase have the size, the direction and the dye of their kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.phantom.interphase import DARK, EPITHELIAL, LYMPHOID, STROMAL, Kind, nuclei
from tests.phantom.cells import offset_um
from tests.phantom.shapes import MPP, border, check_cell, principal_axis, same_bytes

KINDS = {"epithelial": EPITHELIAL, "stromal": STROMAL, "lymphoid": LYMPHOID, "dark": DARK}


def drawn(kind: Kind, count: int = 20, seed: int = 0, mpp: float = MPP, **options: float):  # type: ignore[no-untyped-def]
    return nuclei(np.random.default_rng(seed), kind, count, mpp, **options)


def radius_um(kind: Kind, mpp: float = MPP) -> float:
    """Return the mean radius of discs of the nuclei's area: where tissue is replaced by half."""
    areas = [float((cell.h_keep < 0.5).sum()) * mpp**2 for cell in drawn(kind, 40, mpp=mpp)]
    return float(np.sqrt(np.array(areas) / np.pi).mean())


@pytest.mark.parametrize("name", KINDS)
def test_nuclei_are_whole_cells_that_replace_what_is_below(name: str) -> None:
    for cell in drawn(KINDS[name]):
        check_cell(cell)
        assert not cell.e_add.any()
        assert cell.e_keep.min() == pytest.approx(0.45, abs=0.01)
        assert border(cell.h_keep).min() > 0.9
        assert border(cell.h_add).max() < 0.2


def test_nuclei_of_one_call_differ_and_calls_repeat() -> None:
    first, second = drawn(EPITHELIAL), drawn(EPITHELIAL)
    assert len(first) == 20
    assert all(same_bytes(a, b) for a, b in zip(first, second, strict=True))
    assert len({cell.h_add.tobytes() for cell in first}) == 20
    assert len({cell.h_add.shape for cell in first}) == 1
    assert not same_bytes(first[0], drawn(EPITHELIAL, seed=1)[0])


@pytest.mark.parametrize("name", KINDS)
def test_radii_lie_in_the_range_of_the_kind(name: str) -> None:
    low, high = KINDS[name].radius_um
    assert low < radius_um(KINDS[name]) < high


def test_the_size_does_not_depend_on_the_resolution() -> None:
    assert radius_um(EPITHELIAL, 0.5) == pytest.approx(radius_um(EPITHELIAL, 0.25), rel=0.05)


@given(st.floats(0.2, 5))
def test_scaling_changes_the_radii_only(size: float) -> None:
    scaled = EPITHELIAL.scaled(size)
    low, high = EPITHELIAL.radius_um
    assert scaled.radius_um == (low * size, high * size)
    assert replace(scaled, radius_um=EPITHELIAL.radius_um) == EPITHELIAL


def test_a_scaled_kind_is_drawn_larger() -> None:
    assert radius_um(LYMPHOID.scaled(2)) == pytest.approx(2 * radius_um(LYMPHOID), rel=0.05)


@pytest.mark.parametrize("direction", [0.3, 1.6, 2.8])
def test_aligned_nuclei_lie_along_their_direction(direction: float) -> None:
    def off(**options: float) -> float:
        angles = np.array([principal_axis(cell)[1] for cell in drawn(STROMAL, 60, **options)])
        turned = np.abs(angles - direction) % np.pi
        return float(np.median(np.minimum(turned, np.pi - turned)))

    assert off(direction=direction) < 0.4
    assert off() > 0.5  # of at most pi / 2, where any direction is as likely as another


def test_stromal_nuclei_are_long_and_lymphoid_ones_round() -> None:
    lengths = {
        name: np.median([principal_axis(cell)[0] for cell in drawn(KINDS[name])])
        for name in ("stromal", "lymphoid")
    }
    assert lengths["stromal"] > 1.9
    assert lengths["lymphoid"] < 1.4


def test_dark_nuclei_are_darker_than_epithelial_ones() -> None:
    def dye(kind: Kind) -> float:
        return float(np.mean([cell.h_add[cell.h_keep < 0.1].mean() for cell in drawn(kind)]))

    assert dye(DARK) > 1.5 * dye(EPITHELIAL)


def test_nucleoli_are_dark_spots() -> None:
    plain = replace(EPITHELIAL, nucleoli=0)

    def brightest(kind: Kind) -> float:
        return float(np.mean([cell.h_add.max() for cell in drawn(kind)]))

    assert brightest(replace(EPITHELIAL, nucleoli=4)) > brightest(plain)


@pytest.mark.parametrize("kind", [EPITHELIAL, STROMAL, LYMPHOID])
def test_nuclei_are_different_centred_and_of_the_size_of_their_kind(kind: Kind) -> None:
    mpp = 0.25
    cells = nuclei(np.random.default_rng(0), kind, 12, mpp)
    assert len({cell.h_add.tobytes() for cell in cells}) == 12
    for cell in cells:
        assert offset_um(cell, mpp) < 2.5
        area = (cell.h_keep < 0.5).sum() * mpp**2
        low, high = (np.pi * radius**2 for radius in kind.radius_um)
        assert 0.6 * low < area < 1.5 * high
