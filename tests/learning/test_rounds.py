"""A round: from decisions to a model file that detects as the loop shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metaphase.detection.detect import detect
from metaphase.detectionfile import load_detections
from metaphase.errors import InputError
from metaphase.evaluation.evaluate import evaluate
from metaphase.labels.read import load_dataset
from metaphase.learning.pool import load_pool
from metaphase.learning.roundresult import load_rounds, round_lines
from metaphase.learning.rounds import LEAST_DECISIONS, RoundOptions, train_round
from metaphase.models.modelfile import load_model


def some(review, count):
    """Return the first decisions of a review, which is then not complete."""
    return replace(
        review, points=review.points[:count], target=review.target[:count], complete=False
    )


@pytest.fixture
def trained(loop, reviews):
    steps = []
    result = train_round(loop, reviews, progress=lambda text, part: steps.append(part))
    return loop, result, steps


def test_the_model_detects_what_the_loop_shows(trained):
    loop, result, steps = trained
    model = load_model(loop.round(1) / "model")
    assert model.id == result.model_id
    image = loop.settings().images[1]
    shown = load_detections(loop.detections / image.name)
    assert shown.provenance.model_id == model.id
    assert shown.provenance.threshold == model.card.threshold.value == result.threshold.value
    fresh = detect(image.path, model, mpp=0.25)
    kept = load_pool(loop).candidates[1]
    score = dict(zip(map(tuple, fresh.rounded().points.tolist()), fresh.score, strict=True))
    after = dict(zip(map(tuple, shown.points.tolist()), shown.score, strict=True))
    for point in map(tuple, kept.points.tolist()):
        assert after[point] == pytest.approx(score[point], abs=2e-4)
    assert steps == sorted(steps)
    assert steps[-1] == 1.0


def test_it_is_better_than_before_on_the_dots(trained, dots):
    loop, result, _ = trained
    labels = load_dataset(dots / "labels.json", images=dots / "images")
    found = {image.name: load_detections(loop.detections / image.name)
             for image in loop.settings().images}  # fmt: skip
    base = loop.base_model()
    before = {image.name: detect(image.path, base, mpp=0.25) for image in loop.settings().images}
    assert (evaluate(found, labels).f1 or 0) > (evaluate(before, labels).f1 or 0)
    assert result.scores.f1.value > result.before.f1.value
    low, high = result.scores.f1.low, result.scores.f1.high
    assert low <= result.scores.f1.value <= high


def test_the_card_says_where_it_comes_from(trained):
    loop, result, _ = trained
    base, model = loop.base_model(), load_model(loop.round(1) / "model")
    record = model.card.scores.entries["fine_tuned"]
    assert record["from_id"] == base.id
    assert record["decisions"] == result.decisions
    assert f"{result.decisions} decisions" in model.card.threshold.chosen_on
    assert "95 % interval" in model.card.threshold.protocol
    assert len(model.card.training_images) == 3
    assert model.weights_path.read_bytes() == base.weights_path.read_bytes()
    assert model.second_stage.id != base.second_stage.id


def test_rounds_begin_from_the_first_model_and_are_listed(trained, reviews):
    loop, first, _ = trained
    again = train_round(loop, reviews)
    assert again.number == 2
    one, two = (load_model(loop.round(n) / "model") for n in (1, 2))
    weights = [m.second_stage.weights_path.read_bytes() for m in (one, two)]
    assert weights[0] == weights[1]
    rounds = load_rounds(loop)
    assert [one.number for one in rounds] == [1, 2]
    assert f"round 1: {first.decisions} decisions" in round_lines(rounds)[0]


def test_decided_candidates_are_not_proposed_again(loop, reviews):
    partial = [some(review, 6) for review in reviews]
    train_round(loop, partial, RoundOptions(decisions=30))
    pool = load_pool(loop, partial)
    decided = {pool.place(int(row)) for row in np.flatnonzero(pool.decided)}
    order = loop.order()
    assert len(order) == 30
    assert not decided & set(order)


def test_too_few_decisions_are_refused_and_nothing_is_written(loop, reviews):
    with pytest.raises(InputError, match=f"at least {LEAST_DECISIONS}"):
        train_round(loop, [some(reviews[0], 3)])
    assert loop.rounds() == []


def test_an_error_in_the_progress_ends_the_round(loop, reviews):
    def stop(text, part):
        if part > 0.3:
            raise RuntimeError(text)

    before = loop.order()
    with pytest.raises(RuntimeError):
        train_round(loop, reviews, progress=stop)
    assert loop.rounds() == []
    assert loop.order() == before


def test_damaged_rounds_are_named(trained):
    loop, *_ = trained
    (loop.round(1) / "round.json").write_text("{}")
    with pytest.raises(InputError, match=r"round\.json"):
        load_rounds(loop)
