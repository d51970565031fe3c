"""Everything that can be said of a file of labels before anybody trains on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaphase.boxes import distances
from metaphase.errors import Problem
from metaphase.figures import Figure, Label, points_of
from metaphase.labels.dataset import DOMAINS, Case, Dataset
from metaphase.labels.read import DISAGREEMENT, read_labels
from metaphase.labels.reading import Reading, numbered
from metaphase.labels.undecided import undecided_by_case
from metaphase.units import scanner_mpp

SAME_PLACE_PX = 1.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What a part of a data set holds."""

    value: str
    cases: int
    labelled: int
    without_mitotic: int
    mitotic: int
    hard_negatives: int


@dataclass(frozen=True)
class Audit:
    """The result of ``audit``: what was read, what is wrong, and what is worth knowing."""

    kind: str
    dataset: Dataset
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def audit(
    path: str | Path,
    *,
    images: Path | None = None,
    kind: str | None = None,
    cases: Path | None = None,
    mpp: float | None = None,
    scanner: str | None = None,
    name: str | None = None,
) -> Audit:
    """Read labels as ``load_dataset`` does and gather every problem and note, also of the images.

    Wrong (problems): all that makes ``load_dataset`` refuse the file, and images that are missing
    from the folder. Worth knowing (notes): boxes over the border, annotations left out, places
    labelled twice, images that were not looked for, unknown or doubtful resolutions.
    Raises LabelError only for a file that cannot be read at all.
    """
    reading = read_labels(
        path, images=images, kind=kind, cases=cases, mpp=mpp, scanner=scanner, name=name
    )
    _check_images(reading, images)
    _check_places(reading)
    _check_mpp(reading)
    _check_undecided(reading)
    dataset = Dataset(reading.cases, name=reading.name, source=str(reading.path))
    return Audit(reading.kind, dataset, tuple(reading.problems), tuple(reading.notes))


def counts(dataset: Dataset, by: str = "scanner") -> list[Counts]:
    """Return the counts of each value of a domain or of ``mpp``, in order of appearance.

    Raises ValueError for another word.
    """
    if by != "mpp":
        return [count(part, value) for value, part in dataset.by_domain(by).items()]
    parts: dict[str, list[Case]] = {}
    for case in dataset:
        parts.setdefault(_told_mpp(case), []).append(case)
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
    """Return the domains that the labels tell for at least one case."""
    return [by for by in DOMAINS if any(getattr(case, by) is not None for case in dataset)]


def _told_mpp(case: Case) -> str:
    if case.mpp is not None:
        return f"{case.mpp:.4g} (labels)"
    known = scanner_mpp(case.scanner)
    return f"{known:.4g} (scanner)" if known else "unknown"


def _check_images(reading: Reading, images: Path | None) -> None:
    absent = [case.id for case in reading.cases if case.image is None or not case.image.is_file()]
    if not absent:
        return
    where = f"in {images}" if images else f"beside {reading.path.name} or in images/ there"
    if images is None and len(absent) == len(reading.cases):
        reading.note("images", f"none are {where}", "name their folder with --images")
        return
    for id_ in absent:
        reading.problem(
            f"case {id_}",
            f"its image is missing: not {where}",
            "add the file, or name the folder with --images",
        )


def _check_places(reading: Reading) -> None:
    """Tell of figures at the same place: labelled twice, or as both things."""
    twice: list[str] = []
    torn: list[str] = []
    for case in reading.cases:
        for a, b in _pairs(case.figures):
            (twice if a.label == b.label else torn).append(f"{a.id} and {b.id} ({case.id})")
    if twice:
        reading.note(
            f"{len(twice)} pairs of annotations", f"are at the same place: {numbered(twice)}"
        )
    if torn:
        reading.note(
            f"{len(torn)} pairs of annotations",
            f"call one place a mitotic figure and a hard negative: {numbered(torn)}",
        )


def _pairs(figures: tuple[Figure, ...]) -> Iterable[tuple[Figure, Figure]]:
    points = points_of(figures, None)
    # Sorted by x, only neighbours within the distance need to be compared.
    order = np.argsort(points[:, 0], kind="stable")
    for rank, i in enumerate(order):
        for j in order[rank + 1 :]:
            if points[j, 0] - points[i, 0] > SAME_PLACE_PX:
                break
            if distances(points[i], points[j])[0, 0] <= SAME_PLACE_PX:
                yield figures[min(i, j)], figures[max(i, j)]


def _check_mpp(reading: Reading) -> None:
    unknown = [c.id for c in reading.cases if c.mpp is None and scanner_mpp(c.scanner) is None]
    if unknown:
        reading.note(
            f"case {numbered(unknown)}",
            "neither the labels nor a known scanner tell its resolution",
            "if the image's tags do not either, give --mpp or --scanner",
        )
    doubtful = _ids(reading, lambda case: _differs(case.mpp, scanner_mpp(case.scanner)))
    if doubtful:
        reading.note(
            f"case {numbered(doubtful)}",
            f"its mpp differs by over {DISAGREEMENT:.0%} from what its scanner makes at 40x",
        )


def _check_undecided(reading: Reading) -> None:
    """Report labelled cases with figures that their review left undecided."""
    undecided = undecided_by_case(reading.path)
    for case in reading.cases:
        if case.labelled and undecided.get(case.id):
            reading.problem(
                f"case {case.id}",
                f"is labelled, but {undecided[case.id]} figures above the threshold were not"
                " decided in its review: they count as negatives",
                "decide about them in 'metaphase view' and export again, without --partial",
            )


def _differs(mpp: float | None, usual: float | None) -> bool:
    return mpp is not None and usual is not None and abs(mpp / usual - 1) > DISAGREEMENT


def _ids(reading: Reading, keep: Callable[[Case], bool]) -> list[str]:
    return [case.id for case in reading.cases if keep(case)]
