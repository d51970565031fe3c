"""Agreement of two readers: Cohen's kappa over shared candidates, F1 between their figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from metaphase.figures import Label
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.units import um_to_px
from metaphase.viewer.reviewstate import verdict
from metaphase.viewer.store import Decision, State


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of two readers over some slides.

    ``both``: candidates that both readers judged. ``agreed``: those judged alike. ``kappa`` is None
    where it is undefined. ``first`` and ``second``: mitotic figures of each reader. ``matched``:
    pairs of them within the matching radius, one to one.
    """

    both: int
    agreed: int
    kappa: float | None
    first: int
    second: int
    matched: int

    @property
    def f1(self) -> float | None:
        """2 matched / (first + second), which is symmetric in the two readers."""
        total = self.first + self.second
        return 2 * self.matched / total if total else None


def cohens_kappa(a: Sequence[Hashable], b: Sequence[Hashable]) -> float | None:
    """Return Cohen's kappa (Educ. Psychol. Meas. 20:37, 1960) of paired judgements.

    None without judgements, or where both readers always gave one and the same judgement.
    """
    n = len(a)
    if n != len(b):
        raise ValueError(f"{n} judgements against {len(b)}")
    if not n:
        return None
    observed = sum(x == y for x, y in zip(a, b, strict=True)) / n
    first, second = Counter(a), Counter(b)
    chance = sum(first[value] * second[value] for value in first) / n**2
    return None if chance == 1 else (observed - chance) / (1 - chance)


def agreement(
    slides: Sequence[tuple[Mapping[str, Decision], Mapping[str, Decision], float]],
    radius_um: float = MATCH_RADIUS_UM,
) -> Agreement:
    """Compare the current decisions of two readers.

    ``slides`` holds for each slide the decisions of the first reader, those of the second, and the
    slide's um/px. Kappa is over the candidates. Added figures are left out of it, because the
    other reader was never asked about them.
    """
    a: list[str] = []
    b: list[str] = []
    first = second = matched = 0
    for mine, theirs, mpp in slides:
        for figure in _candidates(mine).keys() & _candidates(theirs).keys():
            a.append(str(verdict(mine[figure])))
            b.append(str(verdict(theirs[figure])))
        p, q = _mitotic(mine), _mitotic(theirs)
        first, second = first + len(p), second + len(q)
        matched += _matched(p, q, um_to_px(radius_um, mpp))
    agreed = sum(x == y for x, y in zip(a, b, strict=True))
    return Agreement(len(a), agreed, cohens_kappa(a, b), first, second, matched)


def disagreements(
    mine: Mapping[str, Decision],
    theirs: Mapping[str, Decision],
    mpp: float,
    radius_um: float = MATCH_RADIUS_UM,
) -> list[str]:
    """Return the ids of the figures of one slide about which two readers disagree.

    These are the candidates that both judged, and not alike, and the figures that one reader added
    where the other has no mitotic figure within the matching radius.
    """
    both = _candidates(mine).keys() & _candidates(theirs).keys()
    differ = [figure for figure in both if verdict(mine[figure]) != verdict(theirs[figure])]
    radius = um_to_px(radius_um, mpp)
    for one, other in ((mine, theirs), (theirs, mine)):
        places = _mitotic(other)
        for figure, decision in one.items():
            added = figure.startswith("a") and _mitotic({figure: decision})
            if added and not _matched(added, places, radius):
                differ.append(figure)
    return sorted(differ)


def _candidates(standing: Mapping[str, Decision]) -> dict[str, Decision]:
    return {f: d for f, d in standing.items() if not f.startswith("a")}


def _mitotic(standing: Mapping[str, Decision]) -> list[tuple[float, float]]:
    return [
        (d.x_px, d.y_px)
        for d in standing.values()
        if d.state != State.REJECTED
        and d.label == Label.MITOTIC
        and d.x_px is not None
        and d.y_px is not None
    ]


def _matched(p: list[tuple[float, float]], q: list[tuple[float, float]], radius: float) -> int:
    from metaphase.evaluation.matching import match

    if not p or not q:
        return 0
    return match(p, q, [1.0] * len(q), radius, "optimal").tp
