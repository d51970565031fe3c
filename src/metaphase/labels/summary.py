"""Counts of a data set by scanner, tumour, resolution and so on, and its cases as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from metaphase.figures import Label
from metaphase.labels.dataset import DOMAINS, Case, Dataset
from metaphase.units import scanner_mpp

CASE_LIST_COLUMNS = (
    *("id", "labelled", "mitotic", "hard_negative", "scanner", "tumour", "mpp", "group", "image"),
)


@dataclass(frozen=True, slots=True)
class Counts:
    """What a part of a data set holds; ``value`` is the scanner, tumour, ... of the part."""

    value: str
    cases: int
    labelled: int
    without_mitotic: int
    mitotic: int
    hard_negatives: int


def counts(dataset: Dataset, by: str = "scanner") -> list[Counts]:
    """Return the counts of each value of a domain or of ``mpp``, in order of appearance.

    Raises ValueError for another word.
    """
    if by != "mpp":
        return [count(part, value) for value, part in dataset.by_domain(by).items()]
    parts: dict[str, list[Case]] = {}
    for case in dataset:
        parts.setdefault(_resolution(case), []).append(case)
    return [count(Dataset(part), value) for value, part in parts.items()]


def count(dataset: Dataset, value: str = "all") -> Counts:
    """Return the counts of a data set."""
    labelled = dataset.labelled()
    return Counts(
        value=value,
        cases=len(dataset),
        labelled=len(labelled),
        without_mitotic=sum(not case.count(Label.MITOTIC) for case in labelled),
        mitotic=dataset.count(Label.MITOTIC),
        hard_negatives=dataset.count(Label.HARD_NEGATIVE),
    )


def known_domains(dataset: Dataset) -> list[str]:
    """Return the domains that are known of at least one case."""
    return [by for by in DOMAINS if any(getattr(case, by) is not None for case in dataset)]


def case_list(dataset: Dataset) -> Iterator[tuple[str, ...]]:
    """Yield the values of ``CASE_LIST_COLUMNS`` for each case, "" where nothing is known."""
    for case in dataset:
        figures = (case.count(Label.MITOTIC), case.count(Label.HARD_NEGATIVE))
        facts = (case.scanner, case.tumour, case.mpp, case.group, case.image)
        values = (case.id, "yes" if case.labelled else "no", *figures, *facts)
        yield tuple("" if value is None else str(value) for value in values)


def _resolution(case: Case) -> str:
    if case.mpp is not None:
        return f"{case.mpp:.4g} (labels)"
    mpp = scanner_mpp(case.scanner)
    return f"{mpp:.4g} (scanner)" if mpp else "unknown"
