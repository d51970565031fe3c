"""The probability of atypical of detected figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metaphase.detection.atypical import (
    AtypicalClassifier,
    calibrated,
    counts,
    symmetries,
    with_atypical,
)
from metaphase.detection.decode import sigmoid
from metaphase.figures import Detections, Label
from metaphase.models.card import Atypical
from metaphase.models.modelfile import Model
from metaphase.provenance import Provenance
from tests.detection.scenes import DotSlide
from tests.detection.test_secondstage import DarkRuntime, second_model

HOW = Atypical(id="a", threshold=0.4, symmetries=4, slope=0.5, intercept=-0.25)
MADE = Provenance("dots.png", 600, 400, 0.25, threshold=0.5)


@pytest.fixture
def slide():
    return DotSlide(600, 400, 0.25, [(100.0, 100.0), (300.0, 200.0)])


def classifier(slide, **changes):
    how = HOW.model_copy(update=changes)
    return AtypicalClassifier(slide, how, second_model(), DarkRuntime())


def test_probabilities_are_calibrated_means_of_logits(slide) -> None:
    points = np.array([[100.0, 100.0], [500.0, 350.0]])
    plain = classifier(slide, slope=1.0, intercept=0.0).probabilities(points)
    log_odds = np.log(plain / (1 - plain))
    expected = sigmoid(0.5 * log_odds - 0.25)
    np.testing.assert_allclose(classifier(slide).probabilities(points), expected, atol=1e-9)
    assert plain[0] > plain[1]  # the dot is dark
    np.testing.assert_allclose(calibrated(log_odds, HOW), expected, atol=1e-9)


def test_a_probability_does_not_depend_on_the_others(slide) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform((20, 20), (580, 380), (300, 2))  # more than are kept in memory at once
    alone = [classifier(slide).probabilities(point[None])[0] for point in points[::60]]
    np.testing.assert_allclose(classifier(slide).probabilities(points)[::60], alone, atol=1e-12)


def test_each_symmetry_is_another_one() -> None:
    assert [len(set(symmetries(n))) for n in (1, 2, 4, 8)] == [1, 2, 4, 8]
    assert symmetries(1) == (0,)


def test_only_figures_that_count_are_scored(slide, monkeypatch) -> None:
    found = Detections(
        [100, 300, 50, 60], [100, 200, 50, 60], [0.9, 0.4, 0.8, 0.5], [0, 0, 1, 0], provenance=MADE
    )
    assert counts(found).tolist() == [True, False, True, False]
    card = second_model().card.updated(atypical=HOW)
    model = Model(card, Path("m"), "m")
    monkeypatch.setitem(model.__dict__, "atypical", second_model())
    runtime = DarkRuntime()
    runtime.atypical = DarkRuntime()
    result = with_atypical(found, slide, model, runtime)
    assert np.isfinite(result.atypical_or_nan).tolist() == [True, False, True, False]
    assert len(result) == 4
    assert not runtime.windows
    nothing = with_atypical(found.above(0.95), slide, model, runtime)
    assert nothing.atypical is None


def test_a_model_without_it_changes_nothing(slide) -> None:
    found = Detections([100], [100], [0.9], [Label.MITOTIC.code], provenance=MADE)
    assert with_atypical(found, slide, second_model(), DarkRuntime()) is found
