from metaphase.evaluation.evaluate import evaluate
from metaphase.labels.dataset import Dataset
from tests.evaluation.scenes import case, found


def test_false_positives_by_what_they_lie_on():
    dataset = Dataset([case("a", [(100, 100)], [(300, 300), (1000, 1000)])])
    places = [(100, 100), (110, 100), (305, 300), (700, 700), (1000, 1001)]
    detections = {"a": found("a", places, [0.9, 0.8, 0.8, 0.7, 0.2])}
    scores = evaluate(detections, dataset)
    assert scores.overall.mistakes == {"double": 1, "hard negative": 1, "other": 1}
    assert sum(scores.overall.mistakes.values()) == scores.overall.counts.fp


def test_the_radius_is_in_micrometres_at_each_cases_own_resolution():
    dataset = Dataset([case("a", [(100, 100)]), case("b", [(100, 100)])])
    detections = {
        "a": found("a", [(129, 100)], [0.9], mpp=0.25),  # 7.25 um
        "b": found("b", [(129, 100)], [0.9], mpp=0.27),  # 7.83 um
    }
    assert [c.counts.tp for c in evaluate(detections, dataset).cases] == [1, 0]
