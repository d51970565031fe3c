import re

import pytest

from metaphase.evaluation.evaluate import evaluate
from metaphase.report.charts import count_differences
from tests.evaluation.scenes import random_scene


def test_differences_of_counts_with_bias_and_limits():
    dataset, detections = random_scene(3)
    scores = evaluate(detections, dataset, threshold=0.5)
    picture = count_differences([scores, scores], ["one", "two"])
    agreed = scores.agreement
    assert agreed.bias is not None
    assert agreed.low is not None
    for name in ("one", "two"):
        values = dict(
            re.findall(rf"<title>{name}: (bias|lower limit|upper limit) ([^<]+)<", picture)
        )
        assert {k: float(v) for k, v in values.items()} == {
            "bias": pytest.approx(agreed.bias, abs=0.006),
            "lower limit": pytest.approx(agreed.low, abs=0.006),
            "upper limit": pytest.approx(agreed.high, abs=0.006),
        }
    assert picture.count("<circle") == 2 * len(dataset)
    # A case whose counts agree lies on the line of no difference.
    level = re.search(r'class="line faint" d="M[\d.]+ ([\d.]+)L', picture)
    assert level is not None
    heights = re.findall(
        r'cy="([\d.]+)" r="3.5"><title>one, case [^:]+: (\d+) pr\w+, (\d+)', picture
    )
    assert len(heights) == len(dataset)
    for height, found, truth in heights:
        assert (float(height) == float(level[1])) == (found == truth)
        assert (float(height) < float(level[1])) == (int(found) > int(truth))
