"""Export of a review: labels that training and evaluation read, and a table of decisions."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.table import save_table
from metaphase.viewer.columns import Source
from metaphase.viewer.reviewedfigures import candidates
from metaphase.viewer.reviewstate import ReviewState, verdict
from metaphase.viewer.slidecatalogue import CatalogueEntry
from metaphase.viewer.store import Decision, ReviewStore, State

REVIEW_COLUMNS = (
    *("image", "x_px", "y_px", "state", "label", "decision", "score", "reviewer", "time", "figure"),
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

    A slide that is not marked as complete is unlabelled, which is not "without figures". Two
    exceptions: slides opened with labels only are labelled and corrected, and ``partial``.
    """
    options = options or ExportOptions()
    states = [ReviewState(entry.key).update(store) for entry in slides]
    return Dataset(
        (_case(entry, state, options) for entry, state in zip(slides, states, strict=True)),
        name="reviewed",
    )


def _case(entry: CatalogueEntry, state: ReviewState, options: ExportOptions) -> Case:
    case = entry.case or Case(entry.key)
    standing = state.all(options.reviewer)
    labelled = (
        state.complete(options.reviewer)
        or (candidates(entry) == Source.LABEL and entry.case is not None and case.labelled)
        or (options.partial and bool(standing))
    )
    figures = _figures(entry, standing, options) if labelled else ()
    mpp = case.mpp or entry.mpp
    return replace(
        case, id=entry.key, image=entry.path, mpp=mpp, labelled=labelled, figures=tuple(figures)
    )


def _figures(
    entry: CatalogueEntry, standing: dict[str, Decision], options: ExportOptions
) -> Iterable[Figure]:
    labels = list(entry.case.figures) if entry.case else []
    first = len(entry.columns) - len(labels)  # labels follow the detections
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
            yield replace(figure, id=figure.id or _unique(entry, id_), label=label)
    for id_, decision in standing.items():
        label = verdict(decision)
        known = id_ in entry.columns.index
        if known or label is None or decision.x_px is None or decision.y_px is None:
            continue
        yield Figure(_unique(entry, id_), decision.x_px, decision.y_px, label)


def _unique(entry: CatalogueEntry, figure: str) -> str:
    """Return a figure id that is unique in the data set: slide key and id on the slide."""
    return f"{entry.key}/{figure}"


def _label(was: Label, decision: Decision, options: ExportOptions) -> Label | None:
    if decision.state == State.REJECTED:
        return options.rejected_as if was == Label.MITOTIC else None
    return decision.label


def review_table(
    slides: Sequence[CatalogueEntry], store: ReviewStore, reviewer: str | None = None
) -> str:
    """Return the decisions in force as the CSV that ``metaphase count --review`` reads.

    ``state`` has the three values of that format (a hard negative counts as rejected);
    ``decision`` has the state in the review store.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(REVIEW_COLUMNS)
    for entry in slides:
        for d in ReviewState(entry.key).update(store).all(reviewer).values():
            mitotic = verdict(d) == Label.MITOTIC
            added = d.figure not in entry.columns.index
            state = "rejected" if not mitotic else "added" if added else "confirmed"
            score = "" if d.score is None else f"{d.score:.6f}"
            word = d.label or ""
            what = (state, word, d.state, score, d.reviewer, d.time, d.figure)
            writer.writerow((entry.path.name, d.x_px, d.y_px, *what))
    return stream.getvalue()


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
    return dataset


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
