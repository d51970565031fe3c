from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import SplitError
from metaphase.figures import Figure
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.publishedsplits import exercise_split, midog21_official
from metaphase.labels.read import load_dataset
from metaphase.labels.split import Split, check_split, load_split, save_split
from metaphase.labels.stratify import leave_one_out, stratified_split

FIGURE = (Figure("1", 1, 1),)


def made(groups: int = 20, scanners: int = 2, per_group: int = 2, unlabelled: int = 3) -> Dataset:
    cases = [
        Case(
            f"{g}-{i}",
            scanner=f"S{g % scanners}",
            group=f"g{g}",
            figures=FIGURE if g % 5 else (),
        )
        for g in range(groups)
        for i in range(per_group)
    ]
    more = [Case(f"u{i}", scanner="U", labelled=False) for i in range(unlabelled)]
    return Dataset([*cases, *more], name="made")


def groups_of(dataset: Dataset, ids: tuple[str, ...]) -> set[str]:
    return {dataset[id_].domain("group") for id_ in ids}


def refusal(split: Split, dataset: Dataset) -> list[str]:
    with pytest.raises(SplitError) as caught:
        check_split(split, dataset)
    return [str(problem) for problem in caught.value.problems]


@given(
    st.integers(10, 40),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 3),
    st.sampled_from([(0.2, 0.0), (0.3, 0.2), (0.5, 0.0)]),
    st.integers(0, 10),
)
def test_a_stratified_split_is_complete_and_does_not_leak(
    groups: int,
    scanners: int,
    per_group: int,
    unlabelled: int,
    shares: tuple[float, float],
    seed: int,
) -> None:
    dataset = made(groups, scanners, per_group, unlabelled)
    validation, test = shares
    split = stratified_split(dataset, validation=validation, test=test, seed=seed)
    check_split(split, dataset)
    named = [id_ for ids in split.parts().values() for id_ in ids]
    assert sorted(named) == sorted(dataset.ids)
    assert set(split.unlabelled) == {f"u{i}" for i in range(unlabelled)}
    for share, ids in ((validation, split.validation), (test, split.test)):
        assert abs(len(ids) - share * groups * per_group) <= 2 * per_group


def test_strata_give_their_shares() -> None:
    dataset = made(groups=200, per_group=1)
    split = stratified_split(dataset, validation=0.2, test=0.1)

    def strata(ids: tuple[str, ...]) -> Counter[tuple[str | None, bool]]:
        return Counter((dataset[i].scanner, bool(dataset[i].figures)) for i in ids)

    assert strata(split.validation) == {
        ("S0", True): 16,
        ("S0", False): 4,
        ("S1", True): 16,
        ("S1", False): 4,
    }
    assert sum(strata(split.test).values()) == 20


def test_a_seed_is_a_split() -> None:
    dataset = made()
    one, same, other = (stratified_split(dataset, seed=seed) for seed in (0, 0, 1))
    assert one == same
    assert one.validation != other.validation


def test_a_seed_means_the_same_for_ever() -> None:
    """Splits are committed by their seed: these ids may never change."""
    split = stratified_split(made(groups=10, per_group=1, unlabelled=0), seed=7)
    assert split.validation == ("6-0", "9-0")


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"validation": 1.0}, "validation is not a share"),
        ({"test": -0.1}, "test is not a share"),
        ({"validation": 0.5, "test": 0.5}, "nothing is left for training"),
    ],
)
def test_impossible_shares(shares: dict[str, float], said: str) -> None:
    with pytest.raises(SplitError, match=said):
        stratified_split(made(), **shares)  # type: ignore[arg-type]


def test_too_few_groups() -> None:
    with pytest.raises(SplitError, match="validation would be empty"):
        stratified_split(made(groups=2), validation=0.1)
    with pytest.raises(SplitError, match="training would be empty"):
        stratified_split(Dataset([]))


@pytest.mark.parametrize("validate_on", ["share", "next"])
@pytest.mark.parametrize("by", ["scanner", "group"])
def test_leaving_one_out(by: str, validate_on: str) -> None:
    dataset = made(groups=12, scanners=3)
    splits = leave_one_out(dataset, by, validate_on=validate_on)
    assert set(splits) == set(dataset.labelled().by_domain(by))
    for value, split in splits.items():
        check_split(split, dataset)
        assert {dataset[id_].domain(by) for id_ in split.test} == {value}
        assert len(split.test) == len(dataset.labelled().by_domain(by)[value])
        others = {*split.training, *split.validation}
        assert value not in {dataset[id_].domain(by) for id_ in others}
        assert split.training
        assert split.validation
        assert split.unlabelled == ("u0", "u1", "u2")
        if validate_on == "next":
            assert len({dataset[id_].domain(by) for id_ in split.validation}) == 1


def test_a_group_on_two_scanners_cannot_be_parted_by_scanner() -> None:
    dataset = Dataset([Case("a", scanner="A", group="g"), Case("b", scanner="B", group="g")])
    with pytest.raises(SplitError, match="same tissue on both sides"):
        leave_one_out(dataset, "scanner", validation=0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "tumour"}, "have only unknown"),
        ({"by": "colour"}, "domain is one of"),
        ({"by": "scanner", "validate_on": "next"}, "at least 3"),
        ({"by": "scanner", "validate_on": "luck"}, "share or next"),
    ],
)
def test_domains_that_cannot_be_left_out(options: dict[str, str], said: str) -> None:
    with pytest.raises(SplitError, match=said):
        leave_one_out(made(), **options)  # type: ignore[arg-type]


def test_a_split_survives_its_file(tmp_path: Path) -> None:
    split = stratified_split(made())
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


def test_all_reasons_are_told_at_once() -> None:
    found = refusal(Split(training=("0-0", "u0", "x"), test=("0-1",)), made())
    assert len(found) == 3


def test_parts_of_cases() -> None:
    split = Split(training=("a",), unlabelled=("b",))
    assert (split.part_of("a"), split.part_of("b"), split.part_of("c")) == (
        *("training", "unlabelled", None),
    )


def test_sizes_of_the_published_lists() -> None:
    official, repaired, handed = midog21_official(), exercise_split(), exercise_split(False)
    assert [len(ids) for ids in official.parts().values()] == [120, 30, 0, 50]
    assert [len(ids) for ids in repaired.parts().values()] == [119, 0, 30, 50]
    assert [len(ids) for ids in handed.parts().values()] == [159, 0, 40, 0]
    assert set(repaired.training) == {*official.training} - {"006"}
    assert set(repaired.test) == set(official.validation)


@pytest.mark.needs_data
def test_the_published_lists_are_the_files(data_dir: Path) -> None:
    lists = json.loads((data_dir / "midog" / "exercise_split.json").read_text())
    for key, repaired in (("repaired", True), ("handed_out", False)):
        split = exercise_split(repaired)
        for part in ("training", "test"):
            names = {f"{id_}.tiff" for id_ in getattr(split, part)}
            assert names == set(lists[key][part])
    tree = (data_dir / "midog" / "midog21_official_split.txt").read_text().split()
    found: dict[str, set[str]] = {"train/": set(), "valid/": set()}
    part = ""
    for word in tree:
        part = word if word in found else part
        if word.endswith(".tiff") and int(word[:3]) <= 150:
            found[part].add(word[:3])
    assert set(midog21_official().training) == found["train/"]
    assert set(midog21_official().validation) == found["valid/"]


@pytest.mark.needs_data
def test_the_published_lists_against_the_labels(data_dir: Path) -> None:
    dataset = load_dataset(data_dir / "midog" / "MIDOG.json")
    check_split(midog21_official(), dataset)
    check_split(exercise_split(), dataset)
    with pytest.raises(SplitError) as caught:
        check_split(exercise_split(repaired=False), dataset)
    assert [p.record for p in caught.value.problems] == ["training", "test"]
    assert "40 unlabelled" in caught.value.problems[0].message


@pytest.mark.needs_data
def test_leave_one_scanner_out_on_midog(data_dir: Path) -> None:
    dataset = load_dataset(data_dir / "midog" / "MIDOG.json")
    splits = leave_one_out(dataset)
    assert {name: len(split.test) for name, split in splits.items()} == {
        "Hamamatsu XR": 50,
        "Hamamatsu S360": 50,
        "Aperio CS2": 50,
    }
    assert all(len(split.unlabelled) == 50 for split in splits.values())
