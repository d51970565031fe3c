"""Scores as tables for the terminal. An undefined value is shown as "-"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from metaphase.evaluation.atypical import AtypicalScores
from metaphase.evaluation.bootstrap import Interval
from metaphase.evaluation.countagreement import CATEGORIES
from metaphase.evaluation.scores import Scores

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from metaphase.evaluation.comparison import Difference

NAMES = {
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "average_precision": "AP",
    "false_positives_per_mm2": "FP per mm2",
}

_NAME_WIDTH = 10  # of the first column, so that names stay readable in 80 columns


def number(value: float | None, digits: int = 3) -> str:
    """Return a number, or "-" if it is undefined."""
    return "-" if value is None else f"{value:.{digits}f}"


def interval_text(interval: Interval | None, sign: str = "") -> str:
    """Return "0.612 to 0.701", or "-" if there is none."""
    if interval is None or interval.low is None or interval.high is None:
        return "-"
    return f"{interval.low:{sign}.3f} to {interval.high:{sign}.3f}"


def print_scores(
    scores: Scores, console: Console, *, by: str | None = None, per_case: bool = False
) -> None:
    """Print the scores, their intervals, the domains and the notes."""
    if scores.training_warning is not None:
        _print(console, f"Warning: {scores.training_warning}", "bold red")
    console.print(_overall(scores))
    for kind, groups in scores.domains.items():
        if by in (None, kind) and (len(groups) > 1 or kind == by):
            console.print(_domains(scores, kind))
    if scores.atypical is not None:
        console.print(_atypical(scores.atypical))
    if by is not None and by not in scores.domains:
        console.print(f"The labels name no {by}, so there is no table of it.", style="yellow")
    if per_case:
        console.print(_cases(scores))
    for line in summary_lines(scores):
        _print(console, line)
    for note in scores.notes:
        _print(console, f"Note: {note}", "yellow")


def _print(console: Console, text: str, style: str | None = None) -> None:
    """Print text that may hold names with brackets, which are no markup."""
    console.print(text, style=style, highlight=False, markup=False)


def summary_lines(scores: Scores) -> list[str]:
    """Return the numbers that are in no table, as sentences."""
    lines = [
        f"Worst {by}: {worst.domain}, F1 {worst.f1:.3f} (mean of all: {worst.mean_f1:.3f})."
        for by, worst in scores.worst.items()
    ]
    total = scores.overall.counts.fp
    if total:
        kinds = ", ".join(f"{n} {kind}" for kind, n in scores.overall.mistakes.items())
        share = scores.share_hard_negative
        on_negatives = "" if share is None else f"; {share:.0%} lie on labelled hard negatives"
        lines.append(f"False positives: {total} ({kinds}){on_negatives}.")
    if scores.froc.sensitivity:
        parts = ", ".join(
            f"{value:.3f} at {rate:g}{'' if scores.froc.reached[rate] else '*'}"
            for rate, value in scores.froc.sensitivity.items()
        )
        star = (
            ""
            if all(scores.froc.reached.values())
            else "; * the detections have fewer false positives"
        )
        lines.append(f"Sensitivity at false positives per mm2: {parts}{star}.")
    lines += _agreement_lines(scores)
    if scores.calibration.ece is not None:
        lines.append(
            f"Calibration of scores: expected error {scores.calibration.ece:.3f}, "
            f"Brier {number(scores.calibration.brier)}."
        )
    if scores.hard_negative_class.get("detected"):
        lines.append(
            f"The detections labelled as hard negatives "
            f"({scores.hard_negative_class['detected']} at the threshold) are not scored."
        )
    return lines


def comparison(differences: Mapping[str, Difference], first: str, second: str) -> Table:
    """Return the table of paired differences, second minus first."""
    title = f"{second} minus {first}, on the same cases"
    table = _table(title, "", "first", "second", "difference", "95 %", "better")
    for name, paired in differences.items():
        table.add_row(
            NAMES[name],
            number(paired.first),
            number(paired.second),
            "-" if paired.difference is None else f"{paired.difference:+.3f}",
            interval_text(paired.interval, "+"),
            "-" if paired.share_better is None else f"{paired.share_better:.1%}",
        )
    return table


def side_by_side(models: Sequence[Scores], names: Sequence[str], *, by: str) -> Table:
    """Return a table of two or more evaluations: F1 overall and by domain, and all scores."""
    table = _table("On the same cases", "", *names)
    for name, title in NAMES.items():
        cells = []
        for scores in models:
            interval = interval_text(scores.overall.intervals.get(name))
            value = number(getattr(scores, name))
            cells.append(value if interval == "-" else f"{value} ({interval})")
        table.add_row(title, *cells)
    table.add_row("threshold", *(_threshold_text(scores) for scores in models))
    domains = dict.fromkeys(name for scores in models for name in scores.domains.get(by, {}))
    if len(domains) > 1:
        table.add_section()
    for domain in domains if len(domains) > 1 else ():
        groups = [scores.domains.get(by, {}).get(domain) for scores in models]
        table.add_row(
            _escaped(f"F1, {domain}"),
            *(number(None if group is None else group.f1) for group in groups),
        )
    return table


def _threshold_text(scores: Scores) -> str:
    return "of each case's detections" if scores.threshold is None else f"{scores.threshold:.4g}"


def _overall(scores: Scores) -> Table:
    threshold = _threshold_text(scores)
    title = (
        f"{scores.model} on {scores.dataset or 'the data set'}: {scores.overall.cases} cases, "
        f"{scores.overall.area_mm2:.4g} mm2\n"
        f"rule {scores.rule}, radius {scores.radius_um:g} um, threshold {threshold}"
    )
    table = _table(title, "", "whole regions", "95 %")
    exercise = scores.exercise
    on_patches = [""] * len(NAMES)
    if exercise is not None:
        share = f"{exercise.share:.0%} of the area"
        table.add_column(f"patches placed by labels\n{share}: not comparable", justify="right")
        counts = exercise.counts
        on_patches = [number(v) for v in (counts.f1, counts.precision, counts.recall, None, None)]
    for (name, title), other in zip(NAMES.items(), on_patches, strict=True):
        value = number(getattr(scores, name))
        table.add_row(title, value, interval_text(scores.overall.intervals.get(name)), other)
    table.add_section()
    for name in ("tp", "fp", "fn"):
        other = "" if exercise is None else str(getattr(exercise.counts, name))
        table.add_row(name.upper(), str(getattr(scores.overall.counts, name)), "", other)
    return table


def _domains(scores: Scores, by: str) -> Table:
    columns = ("cases", "labelled", "F1", "95 %", "precision", "recall", "FP/mm2")
    table = _table(f"By {by}", by, *columns)
    for name, group in scores.domains[by].items():
        interval = interval_text(group.intervals.get("f1"))
        others = (group.precision, group.recall)
        rate = number(group.false_positives_per_mm2, 2)
        sizes = (str(group.cases), str(group.labelled))
        table.add_row(
            _escaped(name), *sizes, number(group.f1), interval, *map(number, others), rate
        )
    return table


def _atypical(scores: AtypicalScores) -> Table:
    columns = ("figures", "atypical", "bal. acc.", "95 %", "AUROC", "sensitivity", "specificity")
    table = _table("Atypical among detected figures, by scanner, worst first", "scanner", *columns)
    for name, score in scores.rows:
        table.add_row(
            _escaped(name),
            str(score.figures),
            str(score.atypical),
            number(score.balanced_accuracy),
            interval_text(score.intervals.get("balanced_accuracy")),
            *(number(v) for v in (score.auroc, score.sensitivity, score.specificity)),
        )
    return table


def _cases(scores: Scores) -> Table:
    table = _table("By case", "case", "labelled", "predicted", "F1", "TP", "FP", "FN")
    trained_on = set(scores.trained_on)
    for case in scores.cases:
        counts = case.counts
        cells = (case.labelled, case.predicted, number(counts.f1), counts.tp, counts.fp, counts.fn)
        name = f"{case.id} (training image)" if case.id in trained_on else case.id
        table.add_row(_escaped(name), *map(str, cells))
    return table


def _agreement_lines(scores: Scores) -> list[str]:
    agreement = scores.agreement
    if agreement.bias is None:
        return []
    limits = (
        f", 95 % limits of agreement {agreement.low:+.1f} to {agreement.high:+.1f}"
        if agreement.low is not None
        else ""
    )
    lines = [
        f"Count per case: predicted minus labelled {agreement.bias:+.2f} on average{limits}; "
        f"mean absolute difference {number(agreement.mean_absolute, 2)}."
    ]
    if agreement.in_category is not None:
        lines.append(
            f"Mitotic-count category of the whole image ({', '.join(CATEGORIES)} per mm2): "
            f"{agreement.in_category:.0%} agree, weighted kappa {number(agreement.kappa, 2)}."
        )
    return lines


def _escaped(text: str) -> str:
    """Return text whose brackets are no markup for the terminal."""
    from rich.markup import escape

    return escape(text)


def _table(title: str, first: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title=_escaped(title),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column(first, min_width=_NAME_WIDTH)
    for column in columns:
        table.add_column(_escaped(column), justify="right", no_wrap=True)
    return table
