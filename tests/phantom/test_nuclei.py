from __future__ import annotations

import numpy as np

from metaphase.phantom.nuclei import draw_nuclei
from metaphase.phantom.tissue import draw_tissue


def test_nuclei_are_drawn_around_figures_and_not_on_them() -> None:
    mpp, side = 0.25, 400
    tissue = draw_tissue(np.random.default_rng(3), side, side, mpp)
    before = tissue.haematoxylin.copy()
    figures = np.array([[100.0, 100.0], [300.0, 250.0]])
    draw_nuclei(np.random.default_rng(4), tissue, figures)
    changed = np.abs(tissue.haematoxylin - before) > 0.2
    assert 0.05 < changed.mean() < 0.7
    y, x = np.mgrid[:side, :side] + 0.5
    for figure_x, figure_y in figures:
        near = np.hypot(x - figure_x, y - figure_y) * mpp < 1.0
        assert changed[near].mean() < 0.3


def test_a_generator_gives_the_same_nuclei() -> None:
    maps = []
    for seed in (5, 5, 6):
        tissue = draw_tissue(np.random.default_rng(3), 200, 200, 0.25)
        draw_nuclei(np.random.default_rng(seed), tissue, np.empty((0, 2)))
        maps.append(tissue.haematoxylin)
    assert np.array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])
