"""A second stage is fine-tuned at every depth, and scored without the decisions of a slide."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.models.modelfile import save_model
from metaphase.training.finetune.features import window_features
from metaphase.training.finetune.tuning import fine_tune, untuned
from metaphase.training.fit.card import network_card
from tests.training.finetune.networks import dots, small_network
from tests.training.helpers import make_recipe


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    network = small_network()
    card = network_card(make_recipe(), network)
    second = save_model(tmp_path_factory.mktemp("two"), card, weights=network.state_dict())
    parts = [dots(18, seed) for seed in range(3)]
    windows = [w for w, _ in parts]
    features = [window_features(network, w, 2) for w in windows]
    target = np.concatenate([t for _, t in parts])
    target[::5] = np.nan
    return second, features, windows, target, np.repeat([0, 1, 2], 18)


@pytest.mark.parametrize("depth", ["head", "last"])
def test_left_out_logits_recognise_the_figures(pool, depth):
    second, features, windows, target, slide = pool
    texts = []
    tuned = fine_tune(
        second, features=features, windows=windows, target=target, slide=slide, depth=depth,
        progress=lambda text, part: texts.append((text, part)),
    )  # fmt: skip
    decided = ~np.isnan(target)
    positive, negative = (tuned.left_out[decided & (target == side)] for side in (1, 0))
    assert positive.mean() > negative.mean()
    assert [one.shape for one in tuned.logits] == [(18, 2)] * 3
    assert tuned.record["depth"] == depth
    assert texts[-1][1] == pytest.approx(1.0)
    final = np.concatenate(tuned.logits).mean(axis=1)
    assert final == pytest.approx(tuned.features @ _weight(tuned) + _bias(tuned), abs=1e-3)


def _weight(tuned):
    return tuned.network.score.weight.detach().double().numpy().reshape(-1)


def _bias(tuned):
    return float(tuned.network.score.bias.detach())


def test_an_unknown_depth_is_refused(pool):
    second, features, windows, target, slide = pool
    with pytest.raises(ValueError, match="depth"):
        fine_tune(
            second, features=features, windows=windows, target=target, slide=slide, depth="deep"
        )


def test_without_decisions_the_scores_are_those_of_the_model(pool):
    second, features, *_ = pool
    mean = np.concatenate([one.mean(axis=1, dtype=float) for one in features])
    tuned = untuned(second, mean, features)
    assert tuned.posterior.head.logits(mean) == pytest.approx(tuned.left_out)
