from __future__ import annotations

import numpy as np

from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.split import Split
from metaphase.training.data.trainingdata import TrainingData

DATA = TrainingData(
    regions=Dataset([Case(name) for name in "abcdu"]),
    crops=Dataset([Case("k")]),
    split=Split(name="s", training=("a", "b"), validation=("c",), test=("d",), unlabelled=("u",)),
    masked={"u": np.zeros((1, 4))},
)


def test_parts_are_those_of_the_split():
    assert DATA.training.ids == ("a", "b")
    assert DATA.validation.ids == ("c",)
    assert DATA.held_out.ids == ("c", "d")
    assert DATA.unlabelled.cases.ids == ("u",)
    assert len(DATA.unlabelled) == 1
    assert set(DATA.unlabelled.masked) == {"u"}


def test_held_out_cases_that_the_data_lack_are_left_out():
    lacking = TrainingData(DATA.regions, DATA.crops, Split(name="s", test=("d", "gone")))
    assert lacking.held_out.ids == ("d",)
