"""A Dataset: a table of Cases, from label files of any kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from metaphase.errors import LabelError, Problem
from metaphase.figures import Figure, Label


@dataclass(frozen=True, slots=True)
class Case:
    """One patient's image and what is known about it.

    ``image`` is the path of its pixels (None where its image was not found). ``mpp`` is the
    resolution in um/px by the labels or the user; None means that it comes from the slide's tags or
    the scanner. ``group`` is what a split must not separate (the slide of a field of view; the
    patient); by default each case is a group. ``labelled`` False means that no one looked for
    figures: it is not "zero figures".
    """

    id: str
    image: Path | None = None
    mpp: float | None = None
    scanner: str | None = None
    tumour: str | None = None
    labelled: bool = True
    figures: tuple[Figure, ...] = ()
    width_px: int | None = None
    height_px: int | None = None
    group: str | None = None
    species: str | None = None
    laboratory: str | None = None

    def __post_init__(self) -> None:
        if not self.labelled and self.figures:
            raise ValueError(f"case {self.id!r} is unlabelled but has {len(self.figures)} figures")

    def count(self, label: Label = Label.MITOTIC) -> int:
        """Return how many figures have a label."""
        return sum(figure.label == label for figure in self.figures)

    def domain(self, by: str = "scanner") -> str:
        """Return the value of ``scanner``, ``tumour``, ``species``, ``laboratory``, ``group``.

        Unknown is the word "unknown"; a case without a group is its own group.
        """
        if by not in DOMAINS:
            raise ValueError(f"a domain is one of {', '.join(DOMAINS)}, not {by!r}")
        value = getattr(self, by)
        if value is None:
            return self.id if by == "group" else "unknown"
        return str(value)


DOMAINS = ("scanner", "tumour", "species", "laboratory", "group")


class Dataset:
    """Cases in file order, found by id."""

    def __init__(self, cases: Iterable[Case], *, name: str = "", source: str = "") -> None:
        self.cases: tuple[Case, ...] = tuple(cases)
        self.name = name
        self.source = source
        self._by_id = {case.id: case for case in self.cases}
        if len(self._by_id) != len(self.cases):
            times = Counter(case.id for case in self.cases)
            raise LabelError(
                Problem(source or name, f"case {id_}", f"appears {n} times", "give it another id")
                for id_, n in times.items()
                if n > 1
            )

    def __len__(self) -> int:
        return len(self.cases)

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def __contains__(self, case_id: object) -> bool:
        return case_id in self._by_id

    def __getitem__(self, case_id: str) -> Case:
        return self._by_id[case_id]

    def __repr__(self) -> str:
        return f"Dataset({self.name!r}, {len(self)} cases)"

    @property
    def ids(self) -> tuple[str, ...]:
        """The case ids in file order."""
        return tuple(self._by_id)

    def where(self, keep: Callable[[Case], bool]) -> Dataset:
        """Return the cases for which ``keep`` is true."""
        return Dataset(filter(keep, self.cases), name=self.name, source=self.source)

    def select(self, case_ids: Iterable[str]) -> Dataset:
        """Return the named cases, in file order. Unknown names raise LabelError."""
        wanted = set(case_ids)
        unknown = sorted(wanted - set(self._by_id))
        if unknown:
            raise LabelError(
                Problem(self.source or self.name, f"case {id_}", "is not in the data set")
                for id_ in unknown
            )
        return self.where(lambda case: case.id in wanted)

    def labelled(self) -> Dataset:
        """Return the labelled cases."""
        return self.where(lambda case: case.labelled)

    def count(self, label: Label = Label.MITOTIC) -> int:
        """Return the number of figures with a label over all cases."""
        return sum(case.count(label) for case in self.cases)

    def by_domain(self, by: str = "scanner") -> dict[str, Dataset]:
        """Return one Dataset a domain, in order of first appearance."""
        groups: dict[str, list[Case]] = {}
        for case in self.cases:
            groups.setdefault(case.domain(by), []).append(case)
        return {
            domain: Dataset(cases, name=f"{self.name} {domain}".strip(), source=self.source)
            for domain, cases in groups.items()
        }

    def with_prefix(self, prefix: str) -> Dataset:
        """Return the same cases with ``prefix/`` before each id and group, to join data sets."""
        return Dataset(
            (
                replace(
                    case,
                    id=f"{prefix}/{case.id}",
                    group=None if case.group is None else f"{prefix}/{case.group}",
                )
                for case in self.cases
            ),
            name=self.name,
            source=self.source,
        )
