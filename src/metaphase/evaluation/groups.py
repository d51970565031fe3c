"""Scores of any groups of cases: by slide, by source of the data, or by a rule of the caller.

``Scores.domains`` has the kinds of domain that the labels name. This is for tables that need
others, such as leave-one-scanner-out results with every slide and the worst of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from metaphase.evaluation.bootstrap import RESAMPLES, Method
from metaphase.evaluation.casescore import CaseOutcome, CaseScore
from metaphase.evaluation.intervals import STRATA, group_with_intervals
from metaphase.evaluation.scores import GroupScore, Scores, Worst, by_key, group_score, worst_of
from metaphase.evaluation.tables import interval_text, number

LEAST_LABELLED = 20
"""Fewest labelled figures of a group that can be the worst: the F1 of fewer is too uncertain."""

Key = Callable[[CaseScore], str]


def slide_of(case: CaseScore) -> str:
    """Return the slide of a case: its group, which by default is the case itself."""
    return case.group


def source_of(case: CaseScore) -> str:
    """Return the source of a case of joined data sets: the prefix of its id, before the slash."""
    prefix, slash, _ = case.id.rpartition("/")
    return prefix if slash else "all"


@dataclass(frozen=True, slots=True)
class GroupTable:
    """The scores of each group and of all cases, and the worst group with enough figures."""

    overall: GroupScore
    groups: dict[str, GroupScore]
    worst: Worst | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "overall": self.overall.to_dict(),
            "groups": {name: group.to_dict() for name, group in self.groups.items()},
            "worst": None if self.worst is None else asdict(self.worst),
        }

    def to_markdown(self, first: str = "slide") -> str:
        """Return a Markdown table: a row for each group, the worst one marked, and all cases."""
        head = (first, "cases", "figures", "F1", "95 %", "precision", "recall", "AP", "FP per mm2")
        lines = [_line((*head, "on hard negatives")), _line(["---"] * 10)]
        for name, group in self.groups.items():
            worst = self.worst is not None and name == self.worst.domain
            lines.append(_line(_cells(f"**{name}** (worst)" if worst else name, group)))
        lines.append(_line(_cells("all", self.overall)))
        return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(name: str, group: GroupScore) -> tuple[str, ...]:
    share = group.share_hard_negative
    return (
        name.replace("|", "\\|"),
        str(group.cases),
        str(group.labelled),
        number(group.f1),
        interval_text(group.intervals.get("f1")),
        number(group.precision),
        number(group.recall),
        number(group.average_precision),
        number(group.false_positives_per_mm2, 2),
        "-" if share is None else f"{share:.0%}",
    )


def group_table(
    scores: Scores | Sequence[CaseOutcome],
    key: Key = slide_of,
    *,
    least_labelled: int = LEAST_LABELLED,
    resamples: int = RESAMPLES,
    method: Method = "bca",
    strata: str = STRATA,
    seed: int = 0,
) -> GroupTable:
    """Return the scores of each group of cases that ``key`` names, with intervals.

    Intervals are computed by bootstrap over slides (the groups of the labels), stratified by
    ``strata``; with ``resamples`` of 0 there are none. The worst group is that of lowest F1 among
    those with at least ``least_labelled`` figures. Outcomes of several evaluations may be joined,
    such as those of all folds, each scored at its own threshold.
    """
    outcomes = scores.outcomes if isinstance(scores, Scores) else tuple(scores)

    def scored(part: Sequence[CaseOutcome]) -> GroupScore:
        group = group_score(part)
        if not resamples:
            return group
        return group_with_intervals(
            part, group, resamples=resamples, method=method, strata=strata, seed=seed
        )

    groups = {name: scored(part) for name, part in by_key(outcomes, key).items()}
    return GroupTable(scored(outcomes), groups, worst_of(groups, least_labelled=least_labelled))
