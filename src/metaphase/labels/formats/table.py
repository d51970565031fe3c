"""Reads and writes the plain table: one CSV of figures, one of cases.

Figures, one a row: ``case`` (or ``image``), ``x_px, y_px`` (or a box ``x1_px, y1_px, x2_px,
y2_px``, or both), ``label`` ("mitotic figure" or "hard negative"; without this column all are
mitotic figures), ``id``.

Cases, one a row: ``id`` (or ``case``, or ``image``), and what is known of ``image, scanner, tumour,
mpp, labelled, group, species, laboratory, width_px, height_px``. ``labelled`` is true unless it
says false. Without this table every case that has a figure is a labelled one, and cases without
figures are not known.

The measurement tables of QuPath are read as figures too: ``Image``, ``Classification``, and
``Centroid X px`` or ``µm`` (with a resolution). Columns may be separated by commas, semicolons or
tabs (``metaphase.csvfile``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from metaphase.classnames import atypical_of, label_of
from metaphase.csvfile import csv_text
from metaphase.errors import LabelError
from metaphase.figures import Figure, Label
from metaphase.files import real_path, write_text
from metaphase.labels.casenames import image_path
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.formats.fields import (
    first_text,
    flag,
    flag_or_share,
    length_px,
    number,
    resolution_um,
)
from metaphase.labels.formats.tablerows import BOX, CASE, IMAGE, POINT, UM, Row, TableRows
from metaphase.labels.labelfile import LabelFile, check_place, numbered, repeated
from metaphase.qupath.classes import CLASS_HINT, is_ignored
from metaphase.units import scanner_name
from metaphase.values import finite, shown

FIGURE_COLUMNS = (
    *("case", "id", "x_px", "y_px", "label", "x1_px", "y1_px", "x2_px", "y2_px"),
    "atypical",
)
CASE_COLUMNS = (
    *("id", "image", "labelled", "scanner", "tumour", "mpp", "group", "species", "laboratory"),
    *("width_px", "height_px"),
)
_PLACE = (*POINT, *BOX)
_ID = ("id", "case")


def read_table(path: Path, cases: Path | None = None, mpp: float | None = None) -> LabelFile:
    """Read a CSV of figures with one of cases, named or found as ``cases.csv`` beside it.

    ``mpp`` (um/px) is for positions in um of cases without a resolution.

    ``path`` may also be a CSV of cases; figures are then in ``figures.csv`` beside it, and without
    it every case must be unlabelled.
    """
    rows = TableRows(path)
    file = LabelFile(path, "table", name=path.parent.name or path.stem)
    if rows.has(POINT) or rows.has(BOX) or rows.has(UM):
        beside = path.with_name("cases.csv")
        cases = cases or (beside if beside.is_file() and beside != path else None)
        _read_figures(file, rows, None if cases is None else TableRows(cases), mpp)
    elif rows.columns & {*_ID, *IMAGE}:
        beside = path.with_name("figures.csv")
        if beside.is_file() and beside != path:
            _read_figures(file, TableRows(beside), rows, mpp)
        else:
            _read_only_cases(file, rows)
    else:
        raise LabelError.of(
            path,
            f"has neither the columns of figures nor of cases: {numbered(sorted(rows.columns))}",
            way_out="figures need case, x_px, y_px; cases need id",
        )
    return file


def _read_figures(
    file: LabelFile, figures: TableRows, cases: TableRows | None, mpp: float | None
) -> None:
    if cases is None:
        _note_no_cases(file)
        file.cases = figures.cases()
    else:
        file.cases = list(_cases(file, cases))
        file.drop_repeated_cases()
    known = {case.id: case for case in file.cases}
    by_image = _ByImage(file.cases)
    by_case: dict[str, list[Figure]] = {id_: [] for id_ in known}
    for record, row in figures:
        name, id_ = figures.named(row, CASE)
        id_ = by_image.get(name, id_)
        if not name:
            file.problem(record, "names no case", "fill the column case")
        elif id_ not in known:
            file.problem(record, f"case {shown(id_)} is not in the table of cases")
        elif figures.of_qupath and not _is_figure(file, record, row):
            continue
        elif (
            figure := _figure(file, record, _in_pixels(row, known[id_].mpp or mpp))
        ) and check_place(file, figure, known[id_].width_px, known[id_].height_px):
            by_case[id_].append(figure)
    for repeated_id, n in repeated(f.id for group in by_case.values() for f in group if f.id):
        file.problem(f"figure {repeated_id}", f"its id appears {n} times", "number them anew")
    file.cases = [_with_figures(file, case, by_case[case.id]) for case in file.cases]


class _ByImage:
    """Finds the case of an image by the name that a table gives it."""

    def __init__(self, cases: list[Case]) -> None:
        self._by_path = {str(case.image): case.id for case in cases}
        self._by_name: dict[str, str | None] = {}

    def get(self, name: str, otherwise: str) -> str:
        if name not in self._by_name:
            self._by_name[name] = self._by_path.get(str(image_path(name)))
        return self._by_name[name] or otherwise


def _note_no_cases(file: LabelFile) -> None:
    file.note(
        "",
        "there is no table of cases: images without figures are not known",
        "put cases.csv beside it, or name one with --case-table",
    )


def _read_only_cases(file: LabelFile, rows: TableRows) -> None:
    file.cases = list(_cases(file, rows))
    file.drop_repeated_cases()
    labelled = [case.id for case in file.cases if case.labelled]
    if labelled:
        file.problem(
            f"case {numbered(labelled)}",
            "is labelled, but there is no figures.csv beside this table",
            "name the CSV of figures, or say labelled = false",
        )


def _with_figures(file: LabelFile, case: Case, figures: list[Figure]) -> Case:
    if figures and not case.labelled:
        file.problem(f"case {case.id}", f"is marked unlabelled but has {len(figures)} figures")
        return case
    return replace(case, figures=tuple(figures))


def _is_figure(file: LabelFile, record: str, row: Row) -> bool:
    """Return whether an object of QuPath is meant; one without a class is a problem."""
    name = row.get("label", "")
    if not name:
        file.problem(record, "has no class", CLASS_HINT)
    return bool(name) and not is_ignored(name)


def _in_pixels(row: Row, mpp: float | None) -> Row:
    """Return a row whose position in um, if it has one, is also in pixels."""
    if not mpp or not row.get("x_um") or row.get("x_px"):
        return row
    x, y = finite(row["x_um"]), finite(row.get("y_um"))
    if x is None or y is None:
        return row
    return {**row, "x_px": repr(x / mpp), "y_px": repr(y / mpp)}


def _figure(file: LabelFile, record: str, row: Row) -> Figure | None:
    values = {name: number(file, record, name, row[name]) for name in _PLACE if row.get(name)}
    corners = [value for name in BOX if (value := values.get(name)) is not None]
    box = None
    if len(corners) == len(BOX):
        x1, y1, x2, y2 = corners
        if x2 <= x1 or y2 <= y1:
            file.problem(record, f"box {x1:g}, {y1:g}, {x2:g}, {y2:g} has no area")
            return None
        box = (x1, y1, x2, y2)
    x, y = values.get("x_px"), values.get("y_px")
    if box and (x is None or y is None):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    if x is None or y is None:
        way_out = "fill x_px and y_px, or the four box columns"
        if row.get("x_um"):
            way_out = "its position is in um: give the resolution with --mpp"
        file.problem(record, "has no position in pixels", way_out)
        return None
    # Without a column of labels all are figures; an empty cell in such a column says nothing.
    name = row.get("label", str(Label.MITOTIC))
    label = label_of(name)
    if label is None:
        file.problem(
            record,
            f"unknown label {shown(name)}" if name else "has no label",
            "it is 'mitotic figure' or 'hard negative'",
        )
        return None
    atypical = flag_or_share(file, record, "atypical", row.get("atypical"))
    if atypical is None:
        atypical = atypical_of(row.get("label") or "")
    if label != Label.MITOTIC:
        atypical = None
    return Figure(row.get("id", ""), x, y, label, box, atypical=atypical)


def _cases(file: LabelFile, rows: TableRows) -> Iterator[Case]:
    for record, row in rows:
        name, id_ = rows.named(row, _ID)
        if not id_:
            file.problem(record, "names no case", "fill the column id")
            continue
        labelled = flag(file, record, "labelled", row.get("labelled"))
        yield Case(
            id=id_,
            image=image_path(name),
            mpp=resolution_um(file, record, row.get("mpp")),
            scanner=scanner_name(row.get("scanner")),
            tumour=first_text(row, "tumour", "tumor", "tumor_type"),
            labelled=labelled is not False,
            width_px=length_px(file, record, "width_px", row.get("width_px")),
            height_px=length_px(file, record, "height_px", row.get("height_px")),
            group=first_text(row, "group", "patient"),
            species=first_text(row, "species"),
            laboratory=first_text(row, "laboratory", "lab", "origin"),
        )


def save_table(
    dataset: Dataset, folder: str | Path, *, with_places: bool = False
) -> tuple[Path, Path]:
    """Write ``figures.csv`` and ``cases.csv``; reading them gives the same cases and figures.

    ``with_places`` writes the paths of images relative to ``folder``, so that they are found where
    they are. Otherwise images are named by file name, to be found beside the labels or in a folder
    that is named when reading.
    """
    folder = Path(folder)
    figures, cases = folder / "figures.csv", folder / "cases.csv"
    rows = (_figure_row(case, figure) for case in dataset for figure in case.figures)
    write_text(figures, csv_text(FIGURE_COLUMNS, rows))
    base = folder if with_places else _common_folder(dataset)
    write_text(cases, csv_text(CASE_COLUMNS, (_case_row(case, base) for case in dataset)))
    return figures, cases


def _figure_row(case: Case, figure: Figure) -> tuple[object, ...]:
    box: tuple[object, ...] = figure.box or (None,) * 4
    return (
        *(case.id, figure.id, figure.x_px, figure.y_px, str(figure.label), *box),
        figure.atypical,
    )


def _case_row(case: Case, base: Path | None) -> tuple[object, ...]:
    image = None if case.image is None else _path_from(case.image, base)
    labelled = "true" if case.labelled else "false"
    facts = (case.scanner, case.tumour, case.mpp, case.group, case.species, case.laboratory)
    return (case.id, image, labelled, *facts, case.width_px, case.height_px)


def _common_folder(dataset: Dataset) -> Path | None:
    """Return the folder to name images from; None where their file names all differ."""
    images = [case.image for case in dataset if case.image is not None]
    if len({image.name for image in images}) == len(images):
        return None
    return Path(os.path.commonpath([image.absolute().parent for image in images]))


def _path_from(image: Path, base: Path | None) -> str:
    if base is None:
        return image.name
    try:
        return Path(os.path.relpath(real_path(image), real_path(base))).as_posix()
    except ValueError:  # another drive
        return real_path(image).as_posix()
