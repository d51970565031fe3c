from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.intervals import with_intervals
from tests.evaluation.scenes import random_scene


def test_intervals_of_scores_hold_them_and_repeat_by_seed():
    dataset, detections = random_scene(8, cases=40)
    scores = evaluate(detections, dataset)
    once = with_intervals(scores, resamples=300)
    assert once.to_dict() == with_intervals(scores, resamples=300).to_dict()
    assert once.to_dict() != with_intervals(scores, resamples=300, seed=1).to_dict()
    for group in (once.overall, *once.domains["scanner"].values()):
        for name, interval in group.intervals.items():
            assert interval.low <= getattr(group, name) <= interval.high
    wide = once.domains["scanner"]["scanner 0"].intervals["f1"]
    narrow = once.overall.intervals["f1"]
    assert wide.high - wide.low > narrow.high - narrow.low


def test_few_groups_are_noted():
    dataset, detections = random_scene(8, cases=6)
    assert any(
        "6 independent" in note
        for note in with_intervals(evaluate(detections, dataset), resamples=20).notes
    )
