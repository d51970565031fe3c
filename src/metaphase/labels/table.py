"""Reads and writes the plain table: one CSV of figures, one of cases.

Figures, one a row: ``case`` (or ``image``), ``x_px, y_px`` (or a box ``x1_px, y1_px, x2_px,
y2_px``, or both), ``label`` ("mitotic figure" by default, or "hard negative"), ``id``.

Cases, one a row: ``id`` (or ``case``, or ``image``), and what is known of ``image, scanner, tumour,
mpp, labelled, group, species, laboratory, width_px, height_px``. ``labelled`` is true unless it
says false. Without this table every case that has a figure is a labelled one; cases without
figures can then not be told.

Columns may be separated by commas, semicolons or tabs.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from metaphase.errors import LabelError
from metaphase.figures import Figure, Label
from metaphase.files import write_text
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.reading import (
    Reading,
    case_id,
    check_place,
    label_of,
    numbered,
    repeated,
    without_suffix,
)
from metaphase.labels.textfile import read_text
from metaphase.labels.values import first_text, flag, length_px, number, resolution_um
from metaphase.units import scanner_name

FIGURE_COLUMNS = ("case", "id", "x_px", "y_px", "label", "x1_px", "y1_px", "x2_px", "y2_px")
CASE_COLUMNS = (
    *("id", "image", "labelled", "scanner", "tumour", "mpp", "group", "species", "laboratory"),
    *("width_px", "height_px"),
)
_BOX = ("x1_px", "y1_px", "x2_px", "y2_px")
_POINT = ("x_px", "y_px")
_CASE = ("case",)
_ID = ("id", "case")
_IMAGE = ("image", "file_name")

Row = dict[str, str]


def read_table(path: Path, cases: Path | None = None) -> Reading:
    """Read a CSV of figures with one of cases, given or found as ``cases.csv`` beside it.

    ``path`` may also be a CSV of cases; figures are then in ``figures.csv`` beside it, and without
    it every case must be unlabelled.
    """
    rows = _Rows.of(path)
    reading = Reading(path, "table", name=path.parent.name or path.stem)
    if rows.has(_POINT) or rows.has(_BOX):
        beside = path.with_name("cases.csv")
        cases = cases or (beside if beside.is_file() and beside != path else None)
        _figures(reading, rows, None if cases is None else _Rows.of(cases))
    elif rows.columns & {*_ID, *_IMAGE}:
        beside = path.with_name("figures.csv")
        figures = _Rows.of(beside) if beside.is_file() and beside != path else None
        if figures is None:
            _only_cases(reading, rows)
        else:
            _figures(reading, figures, rows)
    else:
        raise LabelError.of(
            path,
            f"has neither the columns of figures nor of cases: {numbered(sorted(rows.columns))}",
            way_out="figures need case, x_px, y_px; cases need id",
        )
    return reading


@dataclass
class _Rows:
    """A CSV's rows with their line numbers."""

    path: Path
    columns: set[str]
    rows: list[tuple[int, Row]] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> _Rows:
        lines = read_text(path).splitlines()
        first = lines[0] if lines else ""
        delimiter = max(",;\t", key=first.count)
        reader = csv.reader(lines, delimiter=delimiter)
        names = [name.strip().lower() for name in next(reader, [])]
        twice = [name for name, _ in repeated(n for n in names if n)]
        if twice:
            raise LabelError.of(path, f"has two columns called {numbered(twice)}", record="line 1")
        result = cls(path, {name for name in names if name})
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if len(values) > len(names):
                raise LabelError.of(
                    path,
                    f"has {len(values)} values for {len(names)} columns",
                    record=f"line {reader.line_num}",
                    way_out="put text with separators into quotes",
                )
            fields = {n: v.strip() for n, v in zip(names, values, strict=False)}
            result.rows.append((reader.line_num, fields))
        return result

    def has(self, columns: tuple[str, ...]) -> bool:
        return set(columns) <= self.columns

    def __iter__(self) -> Iterator[tuple[str, Row]]:
        return ((f"{self.path.name} line {line}", row) for line, row in self.rows)


def _figures(reading: Reading, figures: _Rows, cases: _Rows | None) -> None:
    if cases is None:
        _tell_no_cases(reading)
        reading.cases = list(_cases_of_figures(figures))
    else:
        reading.cases = [case for record, row in cases if (case := _case(reading, record, row))]
        reading.drop_doubles()
    known = {case.id: case for case in reading.cases}
    found: dict[str, list[Figure]] = {id_: [] for id_ in known}
    for record, row in figures:
        _, id_ = _named(row, _CASE)
        if not id_:
            reading.problem(record, "names no case", "fill the column case")
        elif id_ not in known:
            reading.problem(record, f"case {id_!r} is not in the table of cases")
        elif (figure := _figure(reading, record, row)) and check_place(
            reading, figure, known[id_].width_px, known[id_].height_px
        ):
            found[id_].append(figure)
    for double, n in repeated(f.id for group in found.values() for f in group if f.id):
        reading.problem(f"figure {double}", f"its id appears {n} times", "number them anew")
    reading.cases = [_with(reading, case, found[case.id]) for case in reading.cases]


def _cases_of_figures(figures: _Rows) -> Iterator[Case]:
    named = {id_: name for name, id_ in (_named(row, _CASE) for _, row in figures) if id_}
    return (Case(id=id_, image=_file(name)) for id_, name in named.items())


def _tell_no_cases(reading: Reading) -> None:
    reading.note(
        "",
        "there is no table of cases: images without figures are not known",
        "put cases.csv beside it, or name one with --case-table",
    )


def _only_cases(reading: Reading, rows: _Rows) -> None:
    reading.cases = [case for record, row in rows if (case := _case(reading, record, row))]
    reading.drop_doubles()
    labelled = [case.id for case in reading.cases if case.labelled]
    if labelled:
        reading.problem(
            f"case {numbered(labelled)}",
            "is labelled, but there is no figures.csv beside this table",
            "name the CSV of figures, or say labelled = false",
        )


def _with(reading: Reading, case: Case, figures: list[Figure]) -> Case:
    if figures and not case.labelled:
        reading.problem(f"case {case.id}", f"is marked unlabelled but has {len(figures)} figures")
        return case
    return replace(case, figures=tuple(figures))


def _figure(reading: Reading, record: str, row: Row) -> Figure | None:
    values = {name: number(reading, record, name, row.get(name)) for name in (*_POINT, *_BOX)}
    corners = [values[name] for name in _BOX]
    box = None
    if None not in corners:
        x1, y1, x2, y2 = (float(v) for v in corners if v is not None)
        if x2 <= x1 or y2 <= y1:
            reading.problem(record, f"box {x1:g}, {y1:g}, {x2:g}, {y2:g} has no area")
            return None
        box = (x1, y1, x2, y2)
    x, y = values["x_px"], values["y_px"]
    if box and (x is None or y is None):
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    if x is None or y is None:
        reading.problem(record, "has no position", "fill x_px and y_px, or the four box columns")
        return None
    label = label_of(row.get("label") or str(Label.MITOTIC))
    if label is None:
        reading.problem(
            record, f"unknown label {row['label']!r}", "it is 'mitotic figure' or 'hard negative'"
        )
        return None
    return Figure(row.get("id", ""), x, y, label, box)


def _case(reading: Reading, record: str, row: Row) -> Case | None:
    name, id_ = _named(row, _ID)
    if not id_:
        reading.problem(record, "names no case", "fill the column id")
        return None
    labelled = flag(reading, record, "labelled", row.get("labelled"))
    return Case(
        id=id_,
        image=_file(name),
        mpp=resolution_um(reading, record, row.get("mpp")),
        scanner=scanner_name(row.get("scanner")),
        tumour=first_text(row, "tumour", "tumor", "tumor_type"),
        labelled=labelled is not False,
        width_px=length_px(reading, record, "width_px", row.get("width_px")),
        height_px=length_px(reading, record, "height_px", row.get("height_px")),
        group=first_text(row, "group", "patient"),
        species=first_text(row, "species"),
        laboratory=first_text(row, "laboratory", "lab", "origin"),
    )


def _named(row: Row, columns: tuple[str, ...]) -> tuple[str, str]:
    """Return the image's name and the case's id; the one stands for the other where it is alone."""
    image, case = first_text(row, *_IMAGE), first_text(row, *columns)
    return image or case or "", without_suffix(case) if case else case_id(image or "")


def _file(name: str) -> Path:
    return Path(name.replace("\\", "/"))


def save_table(
    dataset: Dataset, folder: str | Path, *, with_places: bool = False
) -> tuple[Path, Path]:
    """Write ``figures.csv`` and ``cases.csv``; reading them gives the same cases and figures.

    ``with_places`` names images by their way from ``folder``, so that they are found where they
    are; else by file name, to be found beside the labels or in a folder that is named.
    """
    folder = Path(folder)
    figures, cases = folder / "figures.csv", folder / "cases.csv"
    write_text(
        figures, _csv(FIGURE_COLUMNS, (_figure_row(c, f) for c in dataset for f in c.figures))
    )
    beside = folder if with_places else None
    write_text(cases, _csv(CASE_COLUMNS, (_case_row(case, beside) for case in dataset)))
    return figures, cases


def _csv(columns: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> str:
    from io import StringIO

    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return stream.getvalue()


def _figure_row(case: Case, figure: Figure) -> tuple[object, ...]:
    box: tuple[object, ...] = figure.box or (None,) * 4
    # repr keeps every digit of a float, so that nothing moves on the way.
    return (case.id, figure.id, figure.x_px, figure.y_px, str(figure.label), *box)


def _case_row(case: Case, beside: Path | None) -> tuple[object, ...]:
    image = None if case.image is None else _place(case.image, beside)
    labelled = "true" if case.labelled else "false"
    known = (case.scanner, case.tumour, case.mpp, case.group, case.species, case.laboratory)
    return (case.id, image, labelled, *known, case.width_px, case.height_px)


def _place(image: Path, beside: Path | None) -> str:
    if beside is None:
        return image.name
    try:
        return Path(os.path.relpath(image.resolve(), beside.resolve())).as_posix()
    except ValueError:  # another drive
        return image.resolve().as_posix()
