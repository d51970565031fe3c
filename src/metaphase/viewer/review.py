"""How a slide stands after review: what counts now, and the labels that training reads."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from metaphase.counting.review import Reviewed
from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.table import save_table
from metaphase.viewer.columns import Source
from metaphase.viewer.ledger import Ledger, verdict
from metaphase.viewer.opened import Opened
from metaphase.viewer.store import Decision, ReviewStore, State

REVIEW_COLUMNS = (
    *("image", "x_px", "y_px", "state", "label", "decision", "score", "reviewer", "time", "figure"),
)


def candidates(opened: Opened) -> Source:
    """Return which figures are up for review: detections, or the labels where there are none.

    Labels beside detections are shown to compare with, and neither counted nor exported.
    """
    found = (opened.columns.source == Source.DETECTION).any() or opened.model
    return Source.DETECTION if found else Source.LABEL


def counted(
    opened: Opened, standing: Iterable[Decision], threshold: float, label: Label = Label.MITOTIC
) -> Reviewed:
    """Return the figures that count at a threshold: a person's word before the machine's.

    What a person gave the label, or confirmed below the threshold, is added: the detector at that
    threshold missed it. ``metaphase count`` takes an exported review the same way.
    """
    columns = opened.columns
    # The page compares in single precision too, so that both always count the same.
    keep = (columns.source == candidates(opened)) & (columns.label == label.code)
    keep &= columns.score >= np.float32(threshold)
    certain, added = np.zeros(len(columns), bool), np.zeros(len(columns), bool)
    extra: list[tuple[float, float]] = []
    for decision in standing:
        row = columns.index.get(decision.figure)
        counts = verdict(decision) == label
        if row is not None:
            certain[row], added[row] = counts, counts and not keep[row]
            keep[row] = counts
        elif counts and decision.x_px is not None and decision.y_px is not None:
            extra.append((decision.x_px, decision.y_px))
    more = np.ones(len(extra), bool)
    return Reviewed(
        np.concatenate([columns.points[keep], np.reshape(extra, (-1, 2))]),
        np.concatenate([certain[keep], more]),
        np.concatenate([added[keep], more]),
    )


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """``reviewer`` None: the latest word of anybody. ``partial``: slides not marked complete too.

    ``rejected_as`` is what a rejected mitotic figure becomes: a hard negative, or None: left out.
    """

    reviewer: str | None = None
    partial: bool = False
    rejected_as: Label | None = Label.HARD_NEGATIVE


def reviewed_dataset(
    slides: Sequence[Opened], store: ReviewStore, options: ExportOptions | None = None
) -> Dataset:
    """Return the reviewed labels as a data set, as ``train`` and ``evaluate`` read them.

    A slide that nobody marked as complete is unlabelled (not "without figures"), unless it was
    opened with labels, which then stand corrected, or ``partial`` was asked for.
    """
    options = options or ExportOptions()
    ledgers = [Ledger(opened.key).update(store) for opened in slides]
    return Dataset(
        (_case(o, led, options) for o, led in zip(slides, ledgers, strict=True)), name="reviewed"
    )


def _case(opened: Opened, ledger: Ledger, options: ExportOptions) -> Case:
    case = opened.case or Case(opened.key)
    standing = ledger.all(options.reviewer)
    labelled = (
        ledger.complete(options.reviewer)
        or (candidates(opened) == Source.LABEL and opened.case is not None and case.labelled)
        or (options.partial and bool(standing))
    )
    figures = _figures(opened, standing, options) if labelled else ()
    mpp = case.mpp or opened.mpp
    return replace(
        case, id=opened.key, image=opened.path, mpp=mpp, labelled=labelled, figures=tuple(figures)
    )


def _figures(
    opened: Opened, standing: dict[str, Decision], options: ExportOptions
) -> Iterable[Figure]:
    given = list(opened.case.figures) if opened.case else []
    first = len(opened.columns) - len(given)  # labels stand after the detections
    points = opened.columns.points
    for id_, row in opened.columns.index.items():
        if opened.columns.source[row] != candidates(opened):
            continue
        was = opened.columns.label_of(row)
        decision = standing.get(id_)
        if candidates(opened) == Source.LABEL:
            figure, now = given[row - first], was
        else:
            x, y = points[row].tolist()
            figure, now = Figure(_unique(opened, id_), x, y, was), None
        label = now if decision is None else _label(was, decision, options)
        if label is not None:
            yield replace(figure, id=figure.id or _unique(opened, id_), label=label)
    for id_, decision in standing.items():
        label = verdict(decision)
        known = id_ in opened.columns.index
        if known or label is None or decision.x_px is None or decision.y_px is None:
            continue
        yield Figure(_unique(opened, id_), decision.x_px, decision.y_px, label)


def _unique(opened: Opened, figure: str) -> str:
    """Return an id for a whole data set: a figure without one is known by its place on its slide,
    and two slides may have one at the same place."""
    return f"{opened.key}/{figure}"


def _label(was: Label, decision: Decision, options: ExportOptions) -> Label | None:
    if decision.state == State.REJECTED:
        return options.rejected_as if was == Label.MITOTIC else None
    return decision.label


def review_table(slides: Sequence[Opened], store: ReviewStore, reviewer: str | None = None) -> str:
    """Return the standing decisions as the CSV that ``metaphase count --review`` reads.

    ``state`` says it in that file's words (a look-alike is a rejected one), ``decision`` in ours.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(REVIEW_COLUMNS)
    for opened in slides:
        for d in Ledger(opened.key).update(store).all(reviewer).values():
            mitotic = verdict(d) == Label.MITOTIC
            added = d.figure not in opened.columns.index
            state = "rejected" if not mitotic else "added" if added else "confirmed"
            score = "" if d.score is None else f"{d.score:.6f}"
            word = d.label or ""
            what = (state, word, d.state, score, d.reviewer, d.time, d.figure)
            writer.writerow((opened.path.name, d.x_px, d.y_px, *what))
    return stream.getvalue()


def export_folder(
    slides: Sequence[Opened],
    store: ReviewStore,
    folder: str | Path,
    options: ExportOptions | None = None,
    *,
    with_places: bool = True,
) -> Dataset:
    """Write ``figures.csv``, ``cases.csv`` and ``review.csv``; return the data set.

    ``with_places`` says where the images are, from the folder on, so that training finds them.
    """
    from metaphase.files import write_text

    options = options or ExportOptions()
    dataset = reviewed_dataset(slides, store, options)
    save_table(dataset, folder, with_places=with_places)
    write_text(Path(folder) / "review.csv", review_table(slides, store, options.reviewer))
    return dataset


def export_zip(
    slides: Sequence[Opened], store: ReviewStore, options: ExportOptions | None = None
) -> bytes:
    """Return the same three files as one ZIP archive."""
    import tempfile

    stream = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        export_folder(slides, store, folder, options, with_places=False)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(Path(folder).iterdir()):
                archive.write(path, f"reviewed/{path.name}")
    return stream.getvalue()
