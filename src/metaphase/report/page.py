"""The report of evaluations and training runs: one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metaphase import __version__
from metaphase.errors import InputError
from metaphase.evaluation.casescore import CaseOutcome
from metaphase.evaluation.comparison import Difference, compare
from metaphase.evaluation.countagreement import CATEGORIES
from metaphase.evaluation.scores import Scores
from metaphase.evaluation.tables import NAMES, number
from metaphase.files import write_text
from metaphase.report import charts
from metaphase.report.galleries import Gallery, Pictures, Place, galleries, marks
from metaphase.report.methods import methods
from metaphase.report.svg import series
from metaphase.report.template import markup, render
from metaphase.report.training import TrainingCurves

OVERVIEWS = 12  # cases with an overview image; more would make the file large
CROPS = 24


@dataclass(frozen=True, slots=True)
class Mark:
    """A circle in an overview: kind tp, fp or fn, position in px, and the id for links."""

    kind: str
    x_px: float
    y_px: float
    id: str


@dataclass(frozen=True, slots=True)
class Overview:
    """A small image of a case with its true positives, false positives and missed figures."""

    anchor: str
    case: str
    picture: str
    width_px: int
    height_px: int
    marks: list[Mark]


def write_report(
    models: Sequence[Scores],
    out: str | Path,
    *,
    names: Sequence[str] | None = None,
    images: Path | None = None,
    runs: Sequence[TrainingCurves] = (),
    title: str = "",
    crops: int = CROPS,
) -> list[str]:
    """Write a report of one or more evaluations, and of training runs, as one HTML file.

    ``names`` are shown for the models (by default the names on their cards). ``images`` is a folder
    of the images, for the galleries, which show up to ``crops`` pictures each (0: none). Returns
    sentences about images that could not be read. Raises InputError without evaluations and runs.
    """
    if not models and not runs:
        raise InputError.of(out, "has nothing to report: no evaluation and no run were named")
    names = _distinct(names or [scores.model for scores in models])
    pictures = Pictures(images)
    page = render(
        "page.html",
        title=title or _title(models, runs),
        version=__version__,
        made=datetime.now(UTC).strftime("%Y-%m-%d"),
        models=[_model(s, n, i) for i, (s, n) in enumerate(zip(models, names, strict=True))],
        metrics=NAMES,
        number=number,
        interval_text=charts.interval_text,
        charts=_charts(models, names),
        tables=_domain_tables(models),
        categories=CATEGORIES,
        comparisons=_comparisons(models, names),
        galleries=_galleries(models, names, pictures, crops),
        runs=runs,
        series=series,
        markup=markup,
        methods=methods(models, names) if models else [],
        warnings=_by_model(models, names, [[s.training_warning] for s in models]),
        notes=_by_model(models, names, [s.notes for s in models]),
        problems=pictures.problems,
    )
    write_text(out, page)
    return pictures.problems


def _by_model(
    models: Sequence[Scores], names: Sequence[str], texts: Sequence[Sequence[str | None]]
) -> list[str]:
    """Return the texts of all models, with the names of the models if not all have them."""
    names_of: dict[str, list[str]] = {}
    for notes, name in zip(texts, names, strict=True):
        for note in notes:
            if note is not None:
                names_of.setdefault(note, []).append(name)
    return [
        note if len(owners) == len(models) else f"{', '.join(owners)}: {note}"
        for note, owners in names_of.items()
    ]


def _title(models: Sequence[Scores], runs: Sequence[TrainingCurves]) -> str:
    if not models:
        return f"Training of {', '.join(run.run for run in runs)}"
    return f"Mitotic figures in {models[0].dataset or 'the data set'}"


def _distinct(names: Sequence[str]) -> list[str]:
    """Return unique names: where names are equal, all get numbers."""
    if len(set(names)) == len(names):
        return list(names)
    return [f"{name} ({k})" for k, name in enumerate(names, start=1)]


def _model(scores: Scores, name: str, index: int) -> dict[str, Any]:
    cases = {case.id: case for case in scores.cases}
    return {"name": name, "scores": scores, "series": series(index), "cases": cases}


def _charts(models: Sequence[Scores], names: Sequence[str]) -> list[tuple[str, Any, str]]:
    """Return title, drawing and one sentence for each chart."""
    if not models:
        return []
    kinds = list(dict.fromkeys(by for s in models for by, groups in s.domains.items() if groups))
    forests = [
        (f"F1 by {by}", charts.forest(models, names, by), "Lines are 95 % intervals.")
        for by in kinds
        if all(by in s.domains for s in models) and any(len(s.domains[by]) > 1 for s in models)
    ]
    rows = [
        (
            "Precision and recall",
            charts.precision_recall(models, names),
            "The dot is the operating point; faint lines have equal F1.",
        ),
        (
            "FROC",
            charts.froc(models, names),
            "Sensitivity against false positives per mm\N{SUPERSCRIPT TWO}.",
        ),
        (
            "F1 over the threshold",
            charts.over_threshold(models, names),
            "The dot is the operating threshold; there is none where cases have different ones.",
        ),
        *forests,
        (
            "Counts",
            charts.count_agreement(models, names),
            "Each dot is a case; on the line the counts agree.",
        ),
        (
            "Differences of counts",
            charts.count_differences(models, names),
            "Each dot is a case, over the mean of its two counts. Solid line: bias; dashed: 95 % "
            "limits of agreement.",
        ),
        (
            "Calibration",
            charts.reliability(models, names),
            "On the line, the score equals the share of true positives.",
        ),
    ]
    return [(title, markup(picture), text) for title, picture, text in rows]


def _domain_tables(models: Sequence[Scores]) -> list[tuple[str, list[str]]]:
    kinds = dict.fromkeys(by for scores in models for by in scores.domains)
    return [
        (by, list(dict.fromkeys(name for s in models for name in s.domains.get(by, {}))))
        for by in kinds
    ]


def _comparisons(
    models: Sequence[Scores], names: Sequence[str]
) -> list[tuple[str, str, dict[str, Difference]]]:
    """Compare every model with the first, if they were scored on the same cases."""
    comparisons = []
    for scores, name in list(zip(models, names, strict=True))[1:]:
        try:
            comparisons.append((name, names[0], compare(models[0], scores)))
        except InputError:
            continue
    return comparisons


def _galleries(
    models: Sequence[Scores], names: Sequence[str], pictures: Pictures, most: int
) -> list[dict[str, Any]]:
    parts = []
    for index, (scores, name) in enumerate(zip(models, names, strict=True)):
        shown = galleries(scores, most) if most else []
        if not shown:
            continue
        crops = pictures.crops(place for gallery in shown for place in gallery.places)
        overviews = _overviews(shown, index, pictures)
        anchors = {overview.case: overview for overview in overviews}
        parts.append(
            {
                "name": name,
                "galleries": shown,
                "crops": crops,
                "anchor": lambda place, anchors=anchors: _anchor(place, anchors),
                "overviews": overviews,
            }
        )
    return parts


def _overviews(shown: Sequence[Gallery], index: int, pictures: Pictures) -> list[Overview]:
    """Return overviews of the cases that are shown most often in the galleries."""
    by_case: dict[str, tuple[CaseOutcome, int]] = {}
    for gallery in shown:
        for place in gallery.places:
            outcome, times = by_case.get(place.outcome.case.id, (place.outcome, 0))
            by_case[outcome.case.id] = (outcome, times + 1)
    most = sorted(by_case.values(), key=lambda row: -row[1])[:OVERVIEWS]
    overviews = []
    for k, (outcome, _) in enumerate(most):
        picture = pictures.overview(outcome)
        if picture is not None:
            address, width, height = picture
            anchor = f"m{index}c{k}"
            circles = _marks(anchor, outcome)
            overviews.append(Overview(anchor, outcome.case.id, address, width, height, circles))
    return sorted(overviews, key=lambda overview: overview.case)


def _anchor(place: Place, anchors: dict[str, Overview]) -> str | None:
    """Return the id of the mark of a place in its overview, or that of the overview."""
    overview = anchors.get(place.outcome.case.id)
    if overview is None:
        return None
    mark = mark_id(overview.anchor, place.x_px, place.y_px)
    return mark if any(mark == row.id for row in overview.marks) else overview.anchor


def mark_id(anchor: str, x_px: float, y_px: float) -> str:
    """Return the id of a mark in an overview."""
    return f"{anchor}-{x_px:.0f}-{y_px:.0f}"


def _marks(anchor: str, outcome: CaseOutcome) -> list[Mark]:
    """Return the marks of a case; of several at one pixel only the first has an id."""
    by_id: dict[str, Mark] = {}
    rest = []
    for kind, x, y in marks(outcome):
        mark = Mark(kind, x, y, mark_id(anchor, x, y))
        if by_id.setdefault(mark.id, mark) is not mark:
            rest.append(Mark(kind, x, y, ""))
    return [*by_id.values(), *rest]
