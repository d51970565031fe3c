"""The published splits of MIDOG 2021: their sizes, and that they are the published lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaphase.errors import SplitError
from metaphase.labels.publishedsplits import PUBLISHED, exercise_split, midog21_official
from metaphase.labels.read import load_dataset
from metaphase.labels.split import check_split


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


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_published_split_has_its_name_and_each_case_once(name: str) -> None:
    split = PUBLISHED[name]()
    assert split.name == name
    cases = [case for ids in split.parts().values() for case in ids]
    assert len(cases) == len(set(cases))
    assert set(cases) <= {f"{number:03d}" for number in range(1, 201)}


def test_the_validation_list_has_ten_images_of_each_scanner() -> None:
    numbers = [int(case) for case in midog21_official().validation]
    for first in (1, 51, 101):
        assert sum(first <= number < first + 50 for number in numbers) == 10


def test_only_the_lists_as_handed_out_train_on_unlabelled_images() -> None:
    for name, make in PUBLISHED.items():
        split = make()
        used = {*split.training, *split.validation, *split.test}
        assert any(int(case) > 150 for case in used) == (name == "exercise-as-handed-out")
