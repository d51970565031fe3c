"""A split on disk, and the splits that are refused because they leak or cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaphase.errors import SplitError
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.split import PARTS, Split, check_split, load_split, save_split


def made() -> Dataset:
    """Two cases of one group, one of another group, and two unlabelled cases."""
    cases = [Case("0-0", group="g0"), Case("0-1", group="g0"), Case("1-0", group="g1")]
    unlabelled = [Case(name, labelled=False) for name in ("u0", "u1")]
    return Dataset([*cases, *unlabelled], name="made")


def refusal(split: Split, dataset: Dataset) -> list[str]:
    with pytest.raises(SplitError) as caught:
        check_split(split, dataset)
    return [str(problem) for problem in caught.value.problems]


def test_a_split_survives_its_file(tmp_path: Path) -> None:
    split = Split(
        name="s", training=("0-0",), validation=("1-0",), unlabelled=("u0",), note="by hand"
    )
    save_split(split, tmp_path / "split.json")
    assert load_split(tmp_path / "split.json") == split


def test_image_names_stand_for_cases(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"training": ["001.tiff", "s/002.tif"], "test": ["003"]}))
    split = load_split(path)
    assert (split.training, split.test) == (("001", "s/002"), ("003",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"train": ["a"]}', "train: Extra inputs"),
        ('{"training": "a"}', "training: Input should be"),
        ('{"training": [1]}', r"training\.0: Input should be"),
        ("[", "is not JSON"),
        ("[]", "split has lists"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "split.json"
    path.write_text(text)
    with pytest.raises(SplitError, match=said):
        load_split(path)


def test_unlabelled_cases_are_refused_with_the_reason() -> None:
    for part in ("training", "validation", "test"):
        (text,) = refusal(Split.model_validate({part: ("0-0", "u0")}), made())
        assert part in text
        assert "1 unlabelled cases (u0)" in text
        assert "under 'unlabelled'" in text


def test_unlabelled_cases_may_be_named_as_such() -> None:
    check_split(Split(training=("0-0",), unlabelled=("u0", "u1")), made())


def test_unknown_cases_are_refused_with_a_guess() -> None:
    (text,) = refusal(Split(training=("0-9",)), made())
    assert "'0-9' is not in the data set 'made'" in text
    assert "called '0-" in text


def test_a_case_on_both_sides_is_refused() -> None:
    (text,) = refusal(Split(training=("0-0",), test=("0-0",)), made())
    assert "case 0-0: is named in training and in test" in text


def test_a_case_named_twice_in_one_part_is_refused() -> None:
    assert "training and in training" in refusal(Split(training=("0-0", "0-0")), made())[0]


def test_a_group_on_both_sides_is_refused() -> None:
    (text,) = refusal(Split(training=("0-0",), validation=("0-1",)), made())
    assert "group g0: has cases in training (0-0) and validation (0-1)" in text


def test_all_reasons_are_reported_at_once() -> None:
    found = refusal(Split(training=("0-0", "u0", "x"), test=("0-1",)), made())
    assert len(found) == 3


def test_parts_of_cases() -> None:
    split = Split(training=("a",), unlabelled=("b",))
    assert (split.part_of("a"), split.part_of("b"), split.part_of("c")) == (
        *("training", "unlabelled", None),
    )


def test_a_split_without_faults_is_accepted() -> None:
    check_split(Split(training=("0-0", "0-1"), test=("1-0",)), made())
    check_split(Split(training=("0-0",), unlabelled=("0-1", "u0")), made())


def test_an_empty_data_set_has_no_case_to_suggest() -> None:
    (text,) = refusal(Split(test=("a",)), Dataset([], name="empty"))
    assert "it has no cases at all" in text


def test_long_lists_of_unlabelled_cases_are_cut() -> None:
    names = tuple(f"u{n}" for n in range(12))
    dataset = Dataset([Case(name, labelled=False) for name in names])
    (text,) = refusal(Split(test=names), dataset)
    assert "12 unlabelled cases (u0, " in text
    assert "u9 and 2 more" in text
    assert "u10" not in text


def test_parts_are_in_one_order() -> None:
    assert tuple(Split(test=("a",)).parts()) == PARTS


def test_a_split_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Split(training=("a",)).training = ("b",)  # type: ignore[misc]
