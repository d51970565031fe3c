import dataclasses
import json

import numpy as np
import pytest

from metaphase.errors import LabelError
from metaphase.evaluation.curves import pooled_curve
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.matching import RULES, Gains
from metaphase.evaluation.thresholds import (
    bagged_threshold,
    best,
    choose_threshold,
    freeze_threshold,
)
from metaphase.figures import Label
from metaphase.labels.dataset import Dataset
from metaphase.models.card import HeadSpec, InputSpec, Level, ModelCard, Threshold
from metaphase.models.modelfile import load_model, save_model
from tests.evaluation.scenes import case, found, random_scene


def curve(scores, right, truths):
    right = np.asarray(right, np.int64)
    return pooled_curve([np.asarray(scores, float)], [Gains(right, 1 - right)], truths)


@pytest.mark.parametrize("rule", RULES)
def test_no_threshold_scores_better_and_the_returned_f1_is_the_scored_one(rule):
    dataset, detections = random_scene(4)
    value, f1 = choose_threshold(detections, dataset, rule=rule)
    assert evaluate(detections, dataset, rule=rule, threshold=value).f1 == pytest.approx(f1)
    for other in np.linspace(0, 1, 101):
        assert evaluate(detections, dataset, rule=rule, threshold=float(other)).f1 <= f1 + 1e-12


def test_the_middle_of_the_plateau():
    choice = best(curve([0.9, 0.8, 0.3, 0.2], [1, 1, 0, 0], 2))
    assert (choice.low, choice.high) == (0.3, 0.8)
    assert choice.value == 0.55
    assert choice.f1 == 1


def test_of_equal_plateaus_the_widest():
    # F1 is 2/3 down to 0.9 (one right), lower at 0.8, and 2/3 again between 0.75 and 0.1.
    found_ = best(curve([0.9, 0.8, 0.78, 0.77, 0.1], [1, 0, 1, 0, 0], 2))
    f1 = curve([0.9, 0.8, 0.78, 0.77, 0.1], [1, 0, 1, 0, 0], 2).f1
    assert found_.f1 == max(f1)
    assert found_.low < found_.value <= found_.high


def test_a_tolerance_widens_the_plateau_around_the_best():
    scores, right = [0.9, 0.8, 0.7, 0.6, 0.1], [1, 1, 1, 0, 0]
    sharp = best(curve(scores, right, 3))
    wide = best(curve(scores, right, 3), tolerance=0.2)
    assert (sharp.low, sharp.high) == (0.6, 0.7)
    assert (wide.low, wide.high) == (0.1, 0.8)


def test_all_detections_right_stays_above_the_lowest_score_asked_for():
    dataset = Dataset([case("a", [(100, 100)])])
    detections = {"a": found("a", [(100, 100)], [0.4], min_score=0.05)}
    assert choose_threshold(detections, dataset) == (pytest.approx(0.225, abs=0.01), 1.0)


def test_nothing_detected_gives_the_middle():
    assert choose_threshold({"a": found("a")}, Dataset([case("a", [(9, 9)])])) == (0.5, 0.0)


def test_no_figures_no_threshold():
    with pytest.raises(LabelError, match="no mitotic figures"):
        choose_threshold({"a": found("a", [(5, 5)], [0.7])}, Dataset([case("a")]))


def plain_mean_of_bests(detections, dataset, resamples, seed):
    """The same by the definition: each resample is a data set of its own."""
    rng, cases = np.random.default_rng(seed), list(dataset)
    values = []
    for times in rng.multinomial(len(cases), np.full(len(cases), 1 / len(cases)), size=resamples):
        again = [(n, k) for k, often in enumerate(times) for n in range(often)]
        copies = [replace_id(cases[k], f"{cases[k].id}-{n}") for n, k in again]
        if any(copy.count() for copy in copies):
            scores = [detections[cases[k].id].with_label(Label.MITOTIC).score for _, k in again]
            made = {
                copy.id: detections[cases[k].id] for copy, (_, k) in zip(copies, again, strict=True)
            }
            edges = np.append(np.unique(np.concatenate(scores))[::-1], 0)
            f1 = np.array(
                [
                    evaluate(made, Dataset(copies), threshold=float(edge)).f1 or 0
                    for edge in edges[:-1]
                ]
            )
            good = f1 >= f1.max() - 1e-12
            first = int(np.argmax(good))
            after = first + int(np.argmin(np.append(good[first:], False)))
            values.append((edges[first] + edges[after]) / 2)
    return np.mean(values)


def replace_id(one, name):
    return dataclasses.replace(one, id=name)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_steady_threshold_is_the_mean_of_the_best_of_resamples(seed):
    dataset, detections = random_scene(seed)
    value, f1 = bagged_threshold(detections, dataset, resamples=12, seed=seed)
    assert value == pytest.approx(plain_mean_of_bests(detections, dataset, 12, seed), abs=6e-4)
    assert f1 == pytest.approx(evaluate(detections, dataset, threshold=value).f1)


def test_a_steady_threshold_of_one_case_is_the_best_one():
    dataset = Dataset([case("a", [(100, 100), (300, 300)])])
    points = [(100, 100), (300, 300), (500, 500)]
    detections = {"a": found("a", points, [0.9, 0.8, 0.3])}
    assert bagged_threshold(detections, dataset) == (0.55, 1.0)
    assert bagged_threshold({"a": found("a")}, dataset) == (0.5, 0.0)
    with pytest.raises(LabelError, match="no mitotic figures"):
        bagged_threshold(detections, Dataset([case("a")]))


def test_resamples_without_a_figure_choose_nothing():
    cases = [case("a", [(100, 100)]), *(case(name) for name in "bcd")]
    detections = {"a": found("a", [(100, 100)], [0.8])}
    detections |= {name: found(name, [(300, 300)], [0.2]) for name in "bcd"}
    # Wherever "a" is drawn, anything from 0.2 to 0.8 is best (and less, if nothing else is).
    value, f1 = bagged_threshold(detections, Dataset(cases))
    assert value == pytest.approx(0.5, abs=0.005)
    assert f1 == 1.0


def test_close_scores_still_get_a_value_between_them():
    choice = best(curve([0.5000003, 0.5000001], [1, 0], 1))
    assert 0.5000001 < choice.value <= 0.5000003


def test_freezing_a_threshold(tmp_path):
    card = ModelCard(
        name="m",
        created="2024-01-01T00:00:00Z",
        metaphase="0",
        network="compact",
        network_options={},
        input=InputSpec(mpp=0.25),
        head=HeadSpec(kind="centre", levels=(Level(stride=8),)),
        normalisation={"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)},
        merge_radius_um=6,
        threshold=Threshold(value=0.5, chosen_on="nothing", protocol="none"),
        training_data=[],
        recipe={},
        seed=0,
        versions={},
    )
    before = save_model(tmp_path / "m", card, onnx=b"graph")
    after = freeze_threshold(tmp_path / "m", 0.37, chosen_on="x", protocol="y", f1=0.7)
    again = load_model(tmp_path / "m")
    assert again == after
    assert again.card.threshold == Threshold(value=0.37, chosen_on="x", protocol="y", f1=0.7)
    assert again.id != before.id
    assert again.card.weights_sha256 == before.card.weights_sha256
    assert json.loads((tmp_path / "m" / "card.json").read_text())["threshold"]["value"] == 0.37
