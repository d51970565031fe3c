"""One training on cached features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from metaphase.evaluation.atypical import auroc
from metaphase.labels.dataset import Dataset
from metaphase.labels.read import load_dataset
from metaphase.training.atypical.features import compute_features
from metaphase.training.atypical.figures import labelled_figures
from metaphase.training.atypical.fit import fit, logits_of
from metaphase.training.recipe.sections import Atypical, Augment
from tests.training.atypical.scenes import write_crops
from tests.training.atypical.test_features import network

SETTINGS = Atypical(
    window_px=32,
    window_um=16,
    strides=(8, 16),
    views=2,
    epochs=10,
    batch_size=12,
    learning_rate=5e-3,
    backbone_factor=1.0,
    ema=0.5,
    dropout=0.0,
)


@pytest.mark.slow
def test_a_difference_that_can_be_seen_is_learnt_and_repeats(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    crops = load_dataset(write_crops(tmp_path), images=tmp_path / "images")
    spec = network().input.model_copy(update={"mpp": 0.5})
    figures = labelled_figures(Dataset(()), crops, SETTINGS, spec)
    features = compute_features(network((8, 16)), figures, SETTINGS, Augment(strength=0), 0)
    chosen, rest = np.arange(24), np.arange(24, 36)
    steps = []
    trained = [
        fit(network((8, 16)), features, figures, chosen, SETTINGS, 0, lambda *n: steps.append(n))
        for _ in range(2)
    ]
    assert steps[-1] == (20, 20)
    first, second = (logits_of(one, features, rest, SETTINGS) for one in trained)
    np.testing.assert_array_equal(first, second)
    assert auroc(figures.atypical[rest], first) > 0.9
