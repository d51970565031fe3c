from __future__ import annotations

import pytest

from metaphase.errors import LabelError
from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case, Dataset

FIGURES = (Figure("1", 1, 2), Figure("2", 3, 4, Label.HARD_NEGATIVE))
A = Case("a", scanner="X", figures=FIGURES, group="g")
B = Case("b", scanner="Y")
C = Case("c", scanner="X", labelled=False)


@pytest.fixture
def dataset() -> Dataset:
    return Dataset([A, B, C], name="set", source="file.json")


def test_an_unlabelled_case_cannot_have_figures() -> None:
    with pytest.raises(ValueError, match="'a' is unlabelled but has 2"):
        Case("a", labelled=False, figures=FIGURES)


def test_a_dataset_is_a_table_in_file_order(dataset: Dataset) -> None:
    assert dataset.ids == ("a", "b", "c")
    assert list(dataset) == [A, B, C]
    assert dataset["b"] is B
    assert "c" in dataset
    assert "d" not in dataset
    assert len(dataset) == 3


def test_doubled_ids_are_refused_by_name() -> None:
    with pytest.raises(LabelError, match="case a: appears 2 times"):
        Dataset([A, B, A], source="file.json")


def test_counts(dataset: Dataset) -> None:
    assert dataset.count() == 1
    assert dataset.count(Label.HARD_NEGATIVE) == 1
    assert (A.count(), B.count()) == (1, 0)


def test_select_keeps_the_files_order(dataset: Dataset) -> None:
    assert dataset.select(["c", "a"]).ids == ("a", "c")
    assert dataset.select([]).ids == ()


def test_select_tells_all_unknown_names(dataset: Dataset) -> None:
    with pytest.raises(LabelError) as caught:
        dataset.select(["a", "x", "y"])
    assert [problem.record for problem in caught.value.problems] == ["case x", "case y"]


def test_labelled_leaves_out_whom_nobody_looked_at(dataset: Dataset) -> None:
    assert dataset.labelled().ids == ("a", "b")


def test_domains(dataset: Dataset) -> None:
    parts = dataset.by_domain("scanner")
    assert {name: part.ids for name, part in parts.items()} == {"X": ("a", "c"), "Y": ("b",)}
    assert list(dataset.by_domain("group")) == ["g", "b", "c"], "without a group, its own"
    assert list(dataset.by_domain("tumour")) == ["unknown"]
    with pytest.raises(ValueError, match="domain is one of"):
        A.domain("colour")


def test_prefixes_tell_joined_data_sets_apart(dataset: Dataset) -> None:
    joined = dataset.with_prefix("s")
    assert joined.ids == ("s/a", "s/b", "s/c")
    assert [case.group for case in joined] == ["s/g", None, None]
    assert [case.domain("group") for case in joined] == ["s/g", "s/b", "s/c"]
    assert joined["s/a"].figures == FIGURES
