import json

import pytest

from metaphase.errors import SplitError
from metaphase.evaluation.cases import load_cases

LABELS = "case,x_px,y_px\na,1,1\nb,2,2\nc,3,3\n"


@pytest.fixture
def labels(tmp_path):
    (tmp_path / "labels.csv").write_text(LABELS)
    return tmp_path / "labels.csv"


@pytest.fixture
def split(tmp_path):
    path = tmp_path / "split.json"
    parts = {"training": ["a"], "validation": [], "test": ["b", "c"]}
    path.write_text(json.dumps({"name": "mine", **parts}))
    return path


def test_all_cases_or_one_part(labels, split):
    assert load_cases(labels).ids == ("a", "b", "c")
    assert load_cases(labels, split=split).ids == ("b", "c")
    assert load_cases(labels, split=split, part="training").ids == ("a",)


@pytest.mark.parametrize("part", ["validation", "tests"])
def test_an_empty_or_unknown_part_is_an_error_that_names_the_others(labels, split, part):
    with pytest.raises(SplitError, match="training, test"):
        load_cases(labels, split=split, part=part)


def test_unlabelled_cases_can_be_left_out(tmp_path):
    (tmp_path / "labels.csv").write_text("case,x_px,y_px\na,1,1\n")
    (tmp_path / "cases.csv").write_text(
        "case,image,mpp,labelled\na,a.png,0.25,yes\nu,u.png,0.25,no\n"
    )
    table = tmp_path / "cases.csv"
    assert load_cases(tmp_path / "labels.csv", cases=table).ids == ("a", "u")
    assert load_cases(tmp_path / "labels.csv", cases=table, labelled_only=True).ids == ("a",)
