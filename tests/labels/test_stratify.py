from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import SplitError
from metaphase.figures import Figure
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.read import load_dataset
from metaphase.labels.split import check_split
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
