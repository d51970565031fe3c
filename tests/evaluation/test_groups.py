import json

import pytest

from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.groups import group_table, slide_of, source_of
from metaphase.labels.dataset import Dataset
from tests.evaluation.scenes import case, found, random_scene


@pytest.fixture(scope="module")
def scores():
    """Two slides of two fields each, and a slide of one; hard negatives on the first."""
    dataset = Dataset(
        [
            case("x/a1", [(100, 100), (500, 500)], [(900, 900)], group="x/A", scanner="S1"),
            case("x/a2", [(100, 100)], group="x/A", scanner="S1"),
            case("y/b1", [(100, 100)], group="y/B", scanner="S2"),
            case("y/b2", [(100, 100)], group="y/B", scanner="S2"),
            case("y/c1", [(100, 100)], group="y/C", scanner="S2"),
        ]
    )
    detections = {
        "x/a1": found("a1", [(100, 100), (900, 900), (3000, 3000)], [0.9, 0.8, 0.7]),
        "x/a2": found("a2", [(100, 100)], [0.9]),
        "y/b1": found("b1", [(100, 100)], [0.9]),
        "y/b2": found("b2"),
        "y/c1": found("c1"),
    }
    return evaluate(detections, dataset)


def test_every_slide_has_its_scores_and_its_false_positives(scores):
    table = group_table(scores, slide_of, resamples=0)
    assert list(table.groups) == ["x/A", "y/B", "y/C"]
    first = table.groups["x/A"]
    assert (first.counts.tp, first.counts.fp, first.counts.fn) == (2, 2, 1)
    assert first.share_hard_negative == 0.5
    assert first.false_positives_per_mm2 == pytest.approx(1.0)  # two images of 1 mm2
    assert table.groups["y/B"].share_hard_negative is None, "no hard negatives are labelled there"
    assert table.overall.counts == scores.overall.counts


def test_the_worst_slide_has_enough_figures(scores):
    assert group_table(scores, least_labelled=0, resamples=0).worst.domain == "y/C"
    assert group_table(scores, least_labelled=2, resamples=0).worst.domain == "x/A"
    assert group_table(scores, least_labelled=3, resamples=0).worst is None


def test_sources_are_the_prefixes_of_joined_data(scores):
    table = group_table(scores, source_of, resamples=0)
    assert {name: group.cases for name, group in table.groups.items()} == {"x": 2, "y": 3}


def test_intervals_are_over_slides_and_the_table_is_json():
    dataset, detections = random_scene(5, cases=12)
    scores = evaluate(detections, dataset)
    table = group_table(scores, lambda case: case.domains["scanner"], resamples=50)
    interval = table.overall.intervals["false_positives_per_mm2"]
    assert interval.units == 12
    assert interval.low < table.overall.false_positives_per_mm2 < interval.high
    assert table.groups["scanner 0"].intervals["share_hard_negative"].units == 4
    json.dumps(table.to_dict(), allow_nan=False)


def test_outcomes_of_several_evaluations_are_pooled(scores):
    halves = [scores.outcomes[:2], scores.outcomes[2:]]
    joined = group_table([outcome for half in halves for outcome in half], resamples=0)
    assert joined == group_table(scores, resamples=0)


def test_the_markdown_table_has_a_row_for_each_group_and_marks_the_worst(scores):
    lines = group_table(scores, least_labelled=2, resamples=0).to_markdown().splitlines()
    assert len(lines) == 2 + 3 + 1
    assert {line.count("|") for line in lines} == {11}
    assert lines[2].startswith("| **x/A** (worst) | 2 | 3 | 0.571 | - |")
    assert lines[2].endswith("| 1.00 | 50% |")
    assert lines[-1].startswith("| all | 5 |")
