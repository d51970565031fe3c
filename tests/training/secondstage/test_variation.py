"""Variation of contexts, by PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from metaphase.models.card import InputSpec
from metaphase.training.patches.scannerfilters import SIDE, ScannerFilters
from metaphase.training.recipe.sections import Augment, Scanner, SecondStage
from metaphase.training.secondstage.contexts import Contexts, Kind, Origin
from metaphase.training.secondstage.variation import Colours, Variation

CONTEXT, WINDOW = 64, 32
WINDOW_SPEC = InputSpec(mpp=0.25, tile_px=WINDOW, margin_px=0, multiple_px=WINDOW)
STILL = Augment(strength=0.0, symmetries=False, mpp_jitter=0.0)


def some(n: int = 6) -> Contexts:
    rng = np.random.default_rng(0)
    pixels = rng.integers(90, 230, (n, CONTEXT, CONTEXT, 3), dtype=np.uint8)
    pixels[n // 2 :] //= 2
    origins = (Origin("A", "a", False), Origin("B", "b", False))
    number = np.repeat([0, 1], [n // 2, n - n // 2])
    return Contexts(pixels, np.zeros(n, np.float32), (Kind.RANDOM,) * n, number, origins, 0.25)


def vary(contexts: Contexts, augment: Augment, seed: int = 0, jitter_um: float = 0.0) -> np.ndarray:
    settings = SecondStage(window_px=WINDOW, window_um=8.0, jitter_um=jitter_um)
    variation = Variation(Colours.of(contexts), augment, settings, mpp=0.25, window=WINDOW_SPEC)
    generator = torch.Generator().manual_seed(seed)
    return variation(contexts.pixels, contexts.origin, generator).numpy()


def test_without_variation_the_window_is_the_middle_of_the_context() -> None:
    contexts = some()
    middle = contexts.pixels[:, 16:48, 16:48].astype(np.float32)
    assert vary(contexts, STILL) == pytest.approx(middle, abs=0.01)


def test_symmetries_keep_the_middle_where_it_is() -> None:
    contexts = some(8)
    contexts.pixels[:] = 200
    contexts.pixels[:, 30:34, 30:34] = 20
    windows = vary(contexts, Augment(strength=0.0, mpp_jitter=0.1), jitter_um=0.0)
    assert (windows[:, 15:17, 15:17] < 60).all()
    assert (windows[:, :8, :8] > 190).all()


def test_a_shift_is_at_most_the_jitter() -> None:
    contexts = some(30)
    contexts.pixels[:] = 200
    contexts.pixels[:, 31:33, 31:33] = 20
    windows = vary(contexts, STILL, jitter_um=1.5)
    dark = 200 - windows[..., 0]
    at = np.arange(WINDOW) + 0.5
    x = (dark.sum(1) * at).sum(1) / dark.sum((1, 2)) - WINDOW / 2
    assert np.abs(x).max() <= 1.5 / 0.25 + 0.05
    assert np.abs(x).max() > 3


def test_equal_generators_give_equal_windows() -> None:
    contexts = some()
    assert np.array_equal(vary(contexts, Augment(), 1), vary(contexts, Augment(), 1))
    assert not np.array_equal(vary(contexts, Augment(), 1), vary(contexts, Augment(), 2))


def test_colours_come_nearer_to_those_of_other_slides() -> None:
    """Colour transfer mixes the two slides, so that their means overlap."""
    contexts = some(200)
    plain, varied = vary(contexts, STILL), vary(contexts, Augment())
    means = [images.mean((1, 2, 3)) for images in (plain, varied)]
    apart = [m[:100].min() - m[100:].max() for m in means]
    assert apart[0] > 0 > apart[1]
    assert varied.min() >= 0
    assert varied.max() <= 255


def test_colours_are_the_density_of_stained_pixels() -> None:
    contexts = some(2)
    contexts.pixels[0] = 255  # glass
    contexts.pixels[0, ::2] = 102
    contexts.pixels[1] = 51
    colours = Colours.of(contexts)
    assert colours.mean[0].numpy() == pytest.approx(-np.log(102 / 255), abs=1e-4)
    assert colours.mean[1].numpy() == pytest.approx(-np.log(51 / 255), abs=1e-4)


def darker(folder: Path) -> Path:
    """A filter that takes 40 grey levels, learnt on one slide."""
    weights = np.zeros((1, 3, 3, SIDE, SIDE), np.float32)
    weights[0, range(3), range(3), SIDE // 2, SIDE // 2] = 1
    offset = np.full((1, 3), -40, np.float32)
    filters = ScannerFilters(weights, offset, ("S1",), np.ones(1, np.float32))
    filters.save(folder / "filters.npz")
    return folder / "filters.npz"


def test_windows_of_chosen_scanners_are_translated_a_part_of_the_way(tmp_path: Path) -> None:
    contexts = some(40)
    contexts.pixels[:] = 150
    scanner = Scanner(filters=darker(tmp_path), scanners=("A",), amount=1.0, probability=1.0)
    settings = SecondStage(window_px=WINDOW, window_um=8.0)
    variation = Variation(
        Colours.of(contexts),
        STILL.model_copy(update={"scanner": scanner}),
        settings,
        mpp=0.25,
        window=WINDOW_SPEC,
        origins=contexts.origins,
    )
    windows = variation(contexts.pixels, contexts.origin, torch.Generator().manual_seed(0))
    change = 150 - windows.numpy().mean((1, 2, 3))
    assert change[20:] == pytest.approx(0, abs=1e-3)
    assert (change[:20] > 0).all()
    assert (change[:20] <= 40.01).all()
    assert np.ptp(change[:20]) > 10


def test_a_member_sees_its_own_part_at_its_own_resolution() -> None:
    """Half of the middle, twice as fine: each pixel of the context is four of the window."""
    contexts = some()
    contexts.pixels[:] = 200
    contexts.pixels[:, 28:36, 28:36] = 20
    spec = InputSpec(mpp=0.125, tile_px=32, margin_px=0, multiple_px=32)
    settings = SecondStage(window_px=WINDOW, window_um=8.0, jitter_um=0.0)
    variation = Variation(Colours.of(contexts), STILL, settings, mpp=0.25, window=spec)
    windows = variation(contexts.pixels, contexts.origin, torch.Generator().manual_seed(0)).numpy()
    assert windows.shape[1:3] == (32, 32)
    assert (windows < 110).mean() == pytest.approx(0.25, abs=0.01)
