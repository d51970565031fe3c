"""Cached features and what is computed from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from metaphase.detection.atypical import symmetries
from metaphase.detection.secondstage import turn
from metaphase.labels.dataset import Dataset
from metaphase.labels.read import load_dataset
from metaphase.models.networks import build_network
from metaphase.training.atypical.features import compute_features
from metaphase.training.atypical.figures import labelled_figures
from metaphase.training.recipe.sections import Atypical, Augment
from tests.training.atypical.scenes import write_crops

SETTINGS = Atypical(window_px=32, window_um=8, views=2, symmetries=4)


def network(strides=(16, 32)):
    torch.manual_seed(0)
    options = {"mpp": 0.25, "tile_px": 32, "strides": strides, "weights": "none"}
    return build_network("window", options).eval()


@pytest.mark.parametrize(
    ("stages", "strides"), [(1, (16, 32)), (2, (8, 32)), (2, (16,)), (1, (16,))]
)
def test_the_two_halves_of_the_network_give_its_logits(stages: int, strides: tuple) -> None:
    net = network(strides)
    images = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    with torch.inference_mode():
        whole = net(images)[0][:, 0, 0, 0]
        halves = net.from_features(net.features(images, stages), stages)[:, 0]
    torch.testing.assert_close(halves, whole, rtol=1e-5, atol=1e-5)
    frozen = {id(p) for p in net.untrained(stages)}
    trained = {id(p) for n, p in net.named_parameters() if n.startswith("score")}
    assert frozen
    assert not frozen & trained


@pytest.fixture
def figures(tmp_path: Path):
    crops = load_dataset(write_crops(tmp_path), images=tmp_path / "images")
    return labelled_figures(Dataset(()), crops, SETTINGS, network().input)


def test_plain_windows_are_those_of_detection(figures) -> None:
    net = network()
    features = compute_features(net, figures, SETTINGS, Augment(strength=0), 0)
    start = (figures.contexts.pixels.shape[1] - 32) // 2
    windows = figures.contexts.pixels[:, start : start + 32, start : start + 32]
    for maps, number in zip(features.plain, symmetries(4), strict=True):
        with torch.inference_mode():
            expected = net.features(torch.from_numpy(turn(windows, number)), 2).numpy()
        np.testing.assert_allclose(maps.astype(np.float32), expected, rtol=2e-3, atol=2e-3)


def test_views_differ_and_are_the_same_for_the_same_seed(figures) -> None:
    net, seen = network(), []
    first = compute_features(net, figures, SETTINGS, Augment(), 5, lambda *n: seen.append(n))
    again = compute_features(net, figures, SETTINGS, Augment(), 5)
    other = compute_features(net, figures, SETTINGS, Augment(), 6)
    np.testing.assert_array_equal(first.views, again.views)
    assert not np.array_equal(first.views, other.views)
    assert not np.array_equal(first.views[0], first.views[1])
    assert first.views.shape[:2] == (2, 36)
    assert seen[-1] == (6 * 36, 6 * 36)
