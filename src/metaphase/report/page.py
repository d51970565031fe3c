"""One HTML file that tells all of an evaluation and opens anywhere, offline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
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
from metaphase.report.training import Curves

OVERVIEWS = 12  # cases that are shown whole; more would make the file heavy
CROPS = 24


@dataclass(frozen=True, slots=True)
class Mark:
    """A circle in an overview: kind tp, fp or fn, place in px, and the id that links lead to."""

    kind: str
    x_px: float
    y_px: float
    id: str


@dataclass(frozen=True, slots=True)
class Overview:
    """A case as a small picture with what was found and missed in it."""

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
    runs: Sequence[Curves] = (),
    title: str = "",
    crops: int = CROPS,
) -> list[str]:
    """Write a report of one or more evaluations, and of training runs, as one HTML file.

    ``names`` stand for the models (by default what their cards say). ``images`` is a folder to find
    the images in, for pictures of what is wrong; ``crops`` are shown in each gallery (0: none).
    Returns sentences about pictures that could not be made. Raises InputError if there is nothing
    to tell.
    """
    if not models and not runs:
        raise InputError.of(out, "there is nothing to report: no evaluation and no run")
    names = _distinct(names or [scores.model for scores in models])
    pictures = Pictures(images)
    page = _template().render(
        title=title or _title(models, runs),
        version=__version__,
        made=datetime.now(UTC).strftime("%Y-%m-%d"),
        models=[_model(s, n, i) for i, (s, n) in enumerate(zip(models, names, strict=True))],
        metrics=NAMES,
        number=number,
        told=charts.told,
        charts=_charts(models, names),
        tables=_domain_tables(models),
        categories=CATEGORIES,
        comparisons=_comparisons(models, names),
        galleries=_galleries(models, names, pictures, crops),
        runs=runs,
        series=series,
        safe=_safe,
        methods=methods(models, names) if models else [],
        notes=_notes(models, names),
        problems=pictures.problems,
    )
    write_text(out, page)
    return pictures.problems


def _notes(models: Sequence[Scores], names: Sequence[str]) -> list[str]:
    """Return what is to be noted, with the model's name where it is not true of all."""
    told: dict[str, list[str]] = {}
    for scores, name in zip(models, names, strict=True):
        for note in scores.notes:
            told.setdefault(note, []).append(name)
    return [
        note if len(whose) == len(models) else f"{', '.join(whose)}: {note}"
        for note, whose in told.items()
    ]


def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    here = files("metaphase.report")
    style = (here / "page.css").read_text(encoding="utf-8")
    environment.globals["style"] = _safe(style)
    return environment.from_string((here / "page.html").read_text(encoding="utf-8"))


def _safe(text: str) -> Any:
    """Mark text of ours as markup: drawings and the style sheet."""
    from markupsafe import Markup

    return Markup(text)


def _title(models: Sequence[Scores], runs: Sequence[Curves]) -> str:
    if not models:
        return f"Training of {', '.join(run.run for run in runs)}"
    return f"Mitotic figures in {models[0].dataset or 'the data set'}"


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names that differ: two models of one name get numbers."""
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
            "The dot is the threshold that counts; cases that have their own show none.",
        ),
        *forests,
        (
            "Counts",
            charts.count_agreement(models, names),
            "One dot a case; on the line the counts agree.",
        ),
        (
            "Differences of counts",
            charts.count_differences(models, names),
            "One dot a case, over the mean of its two counts. Full line: bias; dashed: 95 % limits "
            "of agreement.",
        ),
        (
            "Calibration",
            charts.reliability(models, names),
            "On the line, a score is the chance of being right.",
        ),
    ]
    return [(title, _safe(picture), text) for title, picture, text in rows]


def _domain_tables(models: Sequence[Scores]) -> list[tuple[str, list[str]]]:
    kinds = dict.fromkeys(by for scores in models for by in scores.domains)
    return [
        (by, list(dict.fromkeys(name for s in models for name in s.domains.get(by, {}))))
        for by in kinds
    ]


def _comparisons(
    models: Sequence[Scores], names: Sequence[str]
) -> list[tuple[str, str, dict[str, Difference]]]:
    """Compare every model with the first, where they were scored on the same cases."""
    found = []
    for scores, name in list(zip(models, names, strict=True))[1:]:
        try:
            found.append((name, names[0], compare(models[0], scores)))
        except InputError:
            continue
    return found


def _galleries(
    models: Sequence[Scores], names: Sequence[str], pictures: Pictures, most: int
) -> list[dict[str, Any]]:
    told = []
    for index, (scores, name) in enumerate(zip(models, names, strict=True)):
        shown = galleries(scores, most) if most else []
        if not shown:
            continue
        crops = pictures.crops(place for gallery in shown for place in gallery.places)
        overviews = _overviews(shown, index, pictures)
        anchors = {overview.case: overview for overview in overviews}
        told.append(
            {
                "name": name,
                "galleries": shown,
                "crops": crops,
                "anchor": lambda place, known=anchors: _anchor(place, known),
                "overviews": overviews,
            }
        )
    return told


def _overviews(shown: Sequence[Gallery], index: int, pictures: Pictures) -> list[Overview]:
    """Return the cases that the galleries show, the most frequent first."""
    by_case: dict[str, tuple[CaseOutcome, int]] = {}
    for gallery in shown:
        for place in gallery.places:
            outcome, times = by_case.get(place.outcome.case.id, (place.outcome, 0))
            by_case[outcome.case.id] = (outcome, times + 1)
    most = sorted(by_case.values(), key=lambda row: -row[1])[:OVERVIEWS]
    found = []
    for k, (outcome, _) in enumerate(most):
        picture = pictures.overview(outcome)
        if picture is not None:
            address, width, height = picture
            anchor = f"m{index}c{k}"
            circles = _marks(anchor, outcome)
            found.append(Overview(anchor, outcome.case.id, address, width, height, circles))
    return sorted(found, key=lambda overview: overview.case)


def _anchor(place: Place, known: dict[str, Overview]) -> str | None:
    """Return the address of a place's mark in its case's overview, or of the overview."""
    overview = known.get(place.outcome.case.id)
    if overview is None:
        return None
    mark = mark_id(overview.anchor, place.x_px, place.y_px)
    return mark if any(mark == row.id for row in overview.marks) else overview.anchor


def mark_id(anchor: str, x_px: float, y_px: float) -> str:
    """Return the id of a mark in an overview."""
    return f"{anchor}-{x_px:.0f}-{y_px:.0f}"


def _marks(anchor: str, outcome: CaseOutcome) -> list[Mark]:
    """Return the marks of a case; of several at one pixel the first has the id."""
    found: dict[str, Mark] = {}
    rest = []
    for kind, x, y in marks(outcome):
        mark = Mark(kind, x, y, mark_id(anchor, x, y))
        if found.setdefault(mark.id, mark) is not mark:
            rest.append(Mark(kind, x, y, ""))
    return [*found.values(), *rest]
