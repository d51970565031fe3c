"""The F1 that others published, from their own detections: met to the last digit.

Bertram et al. (2020) printed the F1 of a detector on the 73 cases of the alternative labels for
TUPAC16. Their protocol is in the ``how`` of published.json.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from metaphase.detection.merge import merge
from metaphase.evaluation.curves import Counts, pooled_curve
from metaphase.evaluation.matching import Rule, gains
from metaphase.figures import points_of
from metaphase.labels.read import load_dataset

pytestmark = pytest.mark.needs_data

LOWEST, RADIUS_PX = 0.3, 25


@pytest.fixture(scope="module")
def folder(data_dir):
    return data_dir / "tupac_alternative_labels"


@pytest.fixture(scope="module")
def published(folder):
    return json.loads((folder / "published.json").read_text())


def counts_at_every_hundredth(folder: Path, truth_file: str, rule: Rule) -> dict[float, Counts]:
    values = json.loads((folder / "detections.json").read_text())["cases"]
    scores, gained, truths = [], [], 0
    for case in load_dataset(folder / truth_file):
        rows = np.reshape(values[f"{case.id}.tif"], (-1, 3))
        rows = rows[rows[:, 2] > LOWEST]
        rows = rows[merge(*rows.T, np.zeros(len(rows)), RADIUS_PX)]
        truth = points_of(case.figures)
        truths += len(truth)
        scores.append(rows[:, 2])
        gained.append(gains(truth, rows[:, :2], rows[:, 2], RADIUS_PX, rule))
    curve = pooled_curve(scores, gained, truths)
    steps = np.round(np.arange(0.30, 0.985, 0.01), 2)
    return {float(t): curve.at(np.nextafter(t, 1)) for t in steps}  # "score > threshold"


@pytest.mark.parametrize("truth", ["augmented", "manual"])
def test_the_published_f1_to_the_last_digit(folder, published, truth):
    wanted = published[f"labels/{truth}"]
    table = counts_at_every_hundredth(folder, published["truth"][truth], "many-to-many")
    threshold = max(table, key=lambda t: table[t].f1)
    best = table[threshold]
    assert best.f1 == wanted["published_f1"]
    assert threshold == wanted["threshold"]
    assert best == Counts(wanted["tp"], wanted["fp"], wanted["fn"])


@pytest.mark.parametrize("truth", ["augmented", "manual"])
def test_one_to_one_by_score_on_the_same_detections(folder, published, truth):
    wanted = published[f"labels/{truth}"]
    table = counts_at_every_hundredth(folder, published["truth"][truth], "greedy")
    best = max(counts.f1 for counts in table.values())
    assert round(best, 6) == wanted["greedy_one_to_one_f1"]
