"""Makes splits of a data set: stratified shares, or leaving one scanner (tumour, ...) out.

Cases of a group stay together, and unlabelled cases are listed under ``unlabelled``. The same seed
and data set give the same split on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from metaphase.errors import SplitError
from metaphase.figures import Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.split import Split, check_split


@dataclass(frozen=True, slots=True)
class _Group:
    """Cases that stay together, and what the split balances."""

    name: str
    cases: tuple[Case, ...]

    @property
    def stratum(self) -> tuple[str, bool]:
        return self.cases[0].domain("scanner"), any(c.count(Label.MITOTIC) for c in self.cases)

    def rank(self, seed: int) -> str:
        """Return a key that shuffles groups in the same way with any version of Python or NumPy."""
        return hashlib.sha256(f"{seed}/{self.name}".encode("utf-8", "surrogatepass")).hexdigest()


def stratified_split(
    dataset: Dataset,
    *,
    validation: float = 0.2,
    test: float = 0.0,
    seed: int = 0,
    name: str = "stratified",
) -> Split:
    """Split at random by shares of cases, stratified by scanner and by having figures at all.

    Raises SplitError for shares that leave no training, or if a part that is asked for stays empty.
    """
    for share, part in ((validation, "validation"), (test, "test")):
        if not 0 <= share < 1:
            raise SplitError.of(
                name, f"{part} is not a share of the cases: {share}", way_out="such as 0.2"
            )
    if validation + test >= 1:
        raise SplitError.of(name, "nothing is left for training", way_out="give smaller shares")
    groups = _groups(dataset.labelled())
    tests = _pick(groups, test, seed)
    rest = [group for group in groups if group not in tests]
    chosen = _pick(rest, validation / (1 - test), seed + 1)
    training = [group for group in rest if group not in chosen]
    for share, part, groups_of_part in (
        (1.0, "training", training),
        (validation, "validation", chosen),
        (test, "test", tests),
    ):
        if share and not groups_of_part:
            raise SplitError.of(
                name,
                f"{part} would be empty: {len(groups)} groups of labelled cases are too few",
                way_out="give larger shares, or name the cases yourself",
            )
    note = f"stratified by scanner and presence of figures: validation {validation:g}, "
    note += f"test {test:g}, seed {seed}, groups kept together"
    return Split(
        name=name,
        training=_ids(dataset, training),
        validation=_ids(dataset, chosen),
        test=_ids(dataset, tests),
        unlabelled=_unlabelled(dataset),
        note=note,
    )


def leave_one_out(
    dataset: Dataset,
    by: str = "scanner",
    *,
    validation: float = 0.2,
    validate_on: str = "share",
    seed: int = 0,
) -> dict[str, Split]:
    """Return one split for each value of a domain, which is its test part; keys are the values.

    ``by`` is scanner, tumour, species, laboratory or group. The validation part is carved out of
    the training part, never out of the test part: a stratified ``share`` of it (``validate_on``
    "share"), or the whole next value of the domain in order ("next"), which chooses the threshold
    on a domain that was not trained on. Unlabelled cases go under ``unlabelled`` in every split.

    Raises SplitError if the domain has fewer than two values (three for "next").
    """
    if validate_on not in ("share", "next"):
        raise SplitError.of("split", f"validate_on is share or next, not {validate_on!r}")
    try:
        domains = dataset.labelled().by_domain(by)
    except ValueError as error:
        raise SplitError.of("split", str(error)) from None
    needed = 3 if validate_on == "next" else 2
    if len(domains) < needed:
        raise SplitError.of(
            dataset.name or "split",
            f"cannot leave one {by} out: labelled cases have only {', '.join(domains) or 'none'}",
            way_out=f"at least {needed} are needed",
        )
    values = list(domains)
    splits = {}
    for index, value in enumerate(values):
        left = _groups(domains[value])
        held = {case.id for group in left for case in group.cases}
        rest = _groups(dataset.labelled().where(lambda case, held=held: case.id not in held))  # type: ignore[misc]
        if validate_on == "next":
            after = values[(index + 1) % len(values)]
            chosen = [g for g in rest if any(case.domain(by) == after for case in g.cases)]
        else:
            chosen = _pick(rest, validation, seed)
        splits[value] = _left_out(dataset, by, value, left, rest, chosen)
    return splits


def _left_out(
    dataset: Dataset,
    by: str,
    value: str,
    left: list[_Group],
    rest: list[_Group],
    chosen: list[_Group],
) -> Split:
    split = Split(
        name=f"{by} {value} left out",
        training=_ids(dataset, [group for group in rest if group not in chosen]),
        validation=_ids(dataset, chosen),
        test=_ids(dataset, left),
        unlabelled=_unlabelled(dataset),
        note=f"test is all of {by} {value!r}; validation is carved out of the others",
    )
    check_split(split, dataset)
    return split


def _groups(dataset: Dataset) -> list[_Group]:
    return [_Group(name, part.cases) for name, part in sorted(dataset.by_domain("group").items())]


def _pick(groups: Sequence[_Group], share: float, seed: int) -> list[_Group]:
    """Pick whole groups so that each stratum gives its share of cases, as near as groups allow.

    Strata are filled in turn. What rounding leaves out of one is added to the next, so that many
    small strata still give the share as a whole.
    """
    if share <= 0:
        return []
    strata: dict[tuple[str, bool], list[_Group]] = {}
    for group in groups:
        strata.setdefault(group.stratum, []).append(group)
    picked: list[_Group] = []
    owed = 0.0
    for _, members in sorted(strata.items()):
        owed += share * sum(len(group.cases) for group in members)
        for group in sorted(members, key=lambda group: group.rank(seed)):
            if len(group.cases) / 2 > owed + 1e-9:
                continue
            picked.append(group)
            owed -= len(group.cases)
    return picked


def _ids(dataset: Dataset, groups: Iterable[_Group]) -> tuple[str, ...]:
    ids = {case.id for group in groups for case in group.cases}
    return tuple(id_ for id_ in dataset.ids if id_ in ids)


def _unlabelled(dataset: Dataset) -> tuple[str, ...]:
    return tuple(case.id for case in dataset if not case.labelled)


def split_file_name(value: str) -> str:
    """Return the name of the file for the split that leaves a value of a domain out."""
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in value.strip().lower())
    return f"without-{kept.strip('.-') or 'unknown'}.json"
