"""Export of a review: labels that training and evaluation read, and a table of decisions."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from metaphase.csvfile import csv_text
from metaphase.errors import SlideError
from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.formats.table import save_table
from metaphase.labels.undecided import UNDECIDED_NAME
from metaphase.viewer.columns import Source
from metaphase.viewer.earlierfigures import in_force, present_figures
from metaphase.viewer.reviewedfigures import candidates, default_threshold, undecided
from metaphase.viewer.reviewstate import ReviewState, verdict
from metaphase.viewer.slidecatalogue import CatalogueEntry
from metaphase.viewer.slideremarks import SlideRemarks
from metaphase.viewer.store import WHOLE_SLIDE, Decision, ReviewStore, State

_WORDS = {True: "true", False: "false", None: ""}
REVIEW_COLUMNS = (
    *(
        "image",
        "x_px",
        "y_px",
        "state",
        "label",
        "decision",
        "score",
        "reviewer",
        "time",
        "figure",
        "comment",
        "atypical",
        "atypical_probability",
    ),
)


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """Options of an export.

    ``reviewer``: whose decisions are used; None takes the latest decision of any reader.
    ``partial``: also export slides as labelled that are not marked as complete.
    ``rejected_as``: label of a rejected mitotic figure; None leaves it out.
    """

    reviewer: str | None = None
    partial: bool = False
    rejected_as: Label | None = Label.HARD_NEGATIVE


def reviewed_dataset(
    slides: Sequence[CatalogueEntry], store: ReviewStore, options: ExportOptions | None = None
) -> Dataset:
    """Return the reviewed labels as a data set, as ``train`` and ``evaluate`` read them.

    A slide that is not marked as complete is unlabelled, which is not "without figures". A slide
    on which detections above the threshold are undecided is not complete, whatever was marked:
    as labelled, its undecided figures would be negatives. Two exceptions: slides opened with labels
    only are labelled and corrected, and ``partial``.
    """
    options = options or ExportOptions()
    waiting = undecided_figures(slides, store, options)
    states = [ReviewState(entry.key).update(store) for entry in slides]
    return Dataset(
        (
            _case(
                entry,
                state,
                SlideRemarks(entry.key).update(store),
                options,
                len(waiting[entry.key]),
            )
            for entry, state in zip(slides, states, strict=True)
        ),
        name="reviewed",
    )


def undecided_figures(
    slides: Sequence[CatalogueEntry], store: ReviewStore, options: ExportOptions | None = None
) -> dict[str, list[int]]:
    """Return by slide key the rows of detections that count and have no decision.

    The threshold is that of the reader who marked the slide as complete, else of the options'
    reader, else of the detector. Labels need no decision.
    """
    options = options or ExportOptions()
    found: dict[str, list[int]] = {}
    for entry in slides:
        state = ReviewState(entry.key).update(store)
        complete = state.standing(WHOLE_SLIDE, options.reviewer)
        reader = complete.reviewer if complete else options.reviewer
        threshold = SlideRemarks(entry.key).update(store).threshold(reader) if reader else None
        if threshold is None:
            threshold = default_threshold(entry)
        found[entry.key] = (
            undecided(entry, in_force(entry, state, options.reviewer), threshold)
            if candidates(entry) == Source.DETECTION
            else []
        )
    return found


def _case(
    entry: CatalogueEntry,
    state: ReviewState,
    remarks: SlideRemarks,
    options: ExportOptions,
    open_figures: int,
) -> Case:
    case = entry.case or Case(entry.key)
    present = present_figures(entry, {*state.figures, *remarks.figures})
    standing = in_force(entry, state, options.reviewer, present)
    labelled = (
        (state.complete(options.reviewer) and not open_figures)
        or (candidates(entry) == Source.LABEL and entry.case is not None and case.labelled)
        or (options.partial and bool(standing))
    )
    atypical = remarks.atypical(options.reviewer, present)
    figures = _figures(entry, standing, atypical, options) if labelled else ()
    return replace(
        case,
        id=entry.key,
        image=entry.path,
        mpp=_mpp(entry),
        labelled=labelled,
        figures=tuple(figures),
    )


def _mpp(entry: CatalogueEntry) -> float | None:
    """Return the resolution at which the slide was shown: that of the file, if it states one."""
    try:
        with entry.open() as pixels:
            return pixels.mpp
    except SlideError:  # the file cannot be read any more; the labels can still be exported
        return (entry.case.mpp if entry.case else None) or entry.mpp


def _figures(
    entry: CatalogueEntry,
    standing: dict[str, Decision],
    atypical: dict[str, bool],
    options: ExportOptions,
) -> Iterable[Figure]:
    """Yield the labels; whether one is atypical is a reader's decision, never the detector's."""
    labels = list(entry.case.figures) if entry.case else []
    first = int(np.searchsorted(entry.columns.source, Source.LABEL))  # rows are ordered by source
    points = entry.columns.points
    for id_, row in entry.columns.index.items():
        if entry.columns.source[row] != candidates(entry):
            continue
        was = entry.columns.label_of(row)
        decision = standing.get(id_)
        if candidates(entry) == Source.LABEL:
            figure, now = labels[row - first], was
        else:
            x, y = points[row].tolist()
            figure, now = Figure(_unique(entry, id_), x, y, was), None
        label = now if decision is None else _label(was, decision, options)
        if label is not None:
            said = float(atypical[id_]) if id_ in atypical else figure.atypical
            yield replace(
                figure,
                id=figure.id or _unique(entry, id_),
                label=label,
                atypical=said if label == Label.MITOTIC else None,
            )
    for id_, decision in standing.items():
        known = entry.columns.index.get(id_)
        if known is not None and entry.columns.source[known] == candidates(entry):
            continue
        reference = known is not None or id_.startswith("s")
        label = _of_other(decision, options, reference=reference)
        if label is None or decision.x_px is None or decision.y_px is None:
            continue
        said = float(atypical[id_]) if id_ in atypical and label == Label.MITOTIC else None
        yield Figure(_unique(entry, id_), decision.x_px, decision.y_px, label, atypical=said)


def _unique(entry: CatalogueEntry, figure: str) -> str:
    """Return a figure id that is unique in the data set: slide key and id on the slide."""
    return f"{entry.key}/{figure}"


def _label(was: Label, decision: Decision, options: ExportOptions) -> Label | None:
    if decision.state == State.REJECTED:
        return options.rejected_as if was == Label.MITOTIC else None
    return decision.label


def _of_other(decision: Decision, options: ExportOptions, *, reference: bool) -> Label | None:
    """Return the label of a decided figure that is not up for review.

    ``reference``: it is of a second model, or of labels beside detections. Of these, rejected ones
    are exported alone: where one is confirmed, a figure is added. Other figures are of an earlier
    model and keep what was decided.
    """
    if decision.state == State.REJECTED:
        return options.rejected_as if decision.label == Label.MITOTIC else None
    return None if reference else decision.label


def review_table(
    slides: Sequence[CatalogueEntry], store: ReviewStore, reviewer: str | None = None
) -> str:
    """Return the decisions in force as the CSV that ``metaphase count --review`` reads.

    ``state`` has the three values of that format (a hard negative counts as rejected);
    ``decision`` has the state in the review store.
    """
    rows: list[tuple[object, ...]] = []
    times = Counter(entry.file_name for entry in slides)
    for entry in slides:
        review, remarks = (
            ReviewState(entry.key).update(store),
            SlideRemarks(entry.key).update(store),
        )
        present = present_figures(entry, {*review.figures, *remarks.figures})
        comments = _comments(remarks, present, reviewer)
        atypical = remarks.atypical(reviewer, present)
        name = entry.file_name
        if times[name] > 1:  # with the folders that make the key unique
            name = "/".join([*entry.key.split("/")[:-1], name])
        for d in in_force(entry, review, reviewer, present).values():
            mitotic = verdict(d) == Label.MITOTIC
            added = d.figure not in entry.columns.index
            state = "rejected" if not mitotic else "added" if added else "confirmed"
            score = "" if d.score is None else f"{d.score:.6f}"
            word = str(d.label or "")
            what = (
                state,
                word,
                d.state,
                score,
                d.reviewer,
                d.time,
                d.figure,
                comments.get(d.figure, ""),
                _WORDS[atypical.get(d.figure)] if mitotic else "",
                _probability(entry, d.figure),
            )
            rows.append((name, d.x_px, d.y_px, *what))
    return csv_text(REVIEW_COLUMNS, rows)


def _probability(entry: CatalogueEntry, figure: str) -> str:
    """Return the probability of atypical that the model gave to a figure, or an empty text."""
    row = entry.columns.index.get(figure)
    value = np.nan if row is None else float(entry.columns.atypical[row])
    return "" if np.isnan(value) else f"{value:.4f}"


def _comments(
    remarks: SlideRemarks, present: Mapping[str, str], reviewer: str | None
) -> dict[str, str]:
    """Return the comments by figure id, each with its author where all readers are exported."""
    found: dict[str, list[str]] = {}
    for remark in remarks.comments(reviewer, present):
        text = " ".join(remark.value.split())
        found.setdefault(remark.figure, []).append(f"{remark.reviewer}: {text}")
    return {figure: " | ".join(texts) for figure, texts in found.items()}


def export_folder(
    slides: Sequence[CatalogueEntry],
    store: ReviewStore,
    folder: str | Path,
    options: ExportOptions | None = None,
    *,
    with_places: bool = True,
) -> Dataset:
    """Write ``figures.csv``, ``cases.csv`` and ``review.csv``; return the data set.

    ``with_places`` writes the image paths relative to the folder, so that training finds them.
    """
    from metaphase.files import write_text

    options = options or ExportOptions()
    dataset = reviewed_dataset(slides, store, options)
    save_table(dataset, folder, with_places=with_places)
    write_text(Path(folder) / "review.csv", review_table(slides, store, options.reviewer))
    _write_undecided(Path(folder) / UNDECIDED_NAME, slides, dataset, store, options)
    return dataset


def _write_undecided(
    path: Path,
    slides: Sequence[CatalogueEntry],
    dataset: Dataset,
    store: ReviewStore,
    options: ExportOptions,
) -> None:
    """List undecided figures of labelled slides, which ``metaphase data check`` reports."""
    from metaphase.files import write_text

    undecided = undecided_figures(slides, store, options)
    rows: list[tuple[object, ...]] = []
    for entry in slides:
        for row in undecided[entry.key] if dataset[entry.key].labelled else ():
            x, y = entry.columns.points[row].tolist()
            rows.append((entry.key, x, y, f"{entry.columns.score[row]:.6f}"))
    if rows:
        write_text(path, csv_text(("case", "x_px", "y_px", "score"), rows))
    else:
        path.unlink(missing_ok=True)


def export_zip(
    slides: Sequence[CatalogueEntry], store: ReviewStore, options: ExportOptions | None = None
) -> bytes:
    """Return the three files of ``export_folder`` as a ZIP archive."""
    import tempfile

    stream = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        export_folder(slides, store, folder, options, with_places=False)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Path(folder).iterdir()):
                archive.write(path, f"reviewed/{path.name}")
    return stream.getvalue()
