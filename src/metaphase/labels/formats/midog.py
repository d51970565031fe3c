"""Reads MIDOG 2021's and MIDOG++'s JSON, which look like COCO but write x1, y1, x2, y2.

The files name neither scanner nor laboratory. They come from the published facts of each image's
number (``midogfacts``), or from MIDOG++'s own table (``Slide;Dataset;Tumor;Scanner;Origin;
Species``) where it is named or lies beside the labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from metaphase.csvfile import CsvTable
from metaphase.errors import LabelError
from metaphase.labels.dataset import Case
from metaphase.labels.formats.boxformat import BoxFormat
from metaphase.labels.formats.coco import read_coco
from metaphase.labels.formats.fields import first_text
from metaphase.labels.formats.midogfacts import facts_of, number_of
from metaphase.labels.labelfile import LabelFile, numbered
from metaphase.units import scanner_name
from metaphase.values import shown

TABLE_NAME = "datasets_xvalidation.csv"
TABLE_COLUMNS = {"slide", "tumor", "scanner", "species"}
LAST_OF_2021 = 200


def is_midog(data: Mapping[str, Any]) -> bool:
    """Return whether parsed JSON is MIDOG's: numbered TIFFs without a scanner."""
    images = data.get("images")
    if not isinstance(images, list) or not images or not isinstance(data.get("annotations"), list):
        return False
    info = data.get("info")
    if isinstance(info, dict) and "synthetic" in (first_text(info, "description") or "").lower():
        return False
    return all(
        isinstance(image, dict)
        and "scanner" not in image
        and number_of(first_text(image, "file_name") or "") is not None
        for image in images
    )


def read_midog(
    path: Path,
    data: Mapping[str, Any],
    *,
    table: Path | None = None,
    box_format: BoxFormat | None = None,
) -> LabelFile:
    """Read parsed JSON of MIDOG 2021 or MIDOG++, with MIDOG++'s table of cases if there is one."""
    file = read_coco(path, data, box_format=box_format, kind="midog")
    plus = any((number_of(case.id) or 0) > LAST_OF_2021 for case in file.cases)
    file.name = "MIDOG++" if plus else "MIDOG 2021"
    beside = path.parent / TABLE_NAME
    if table is None and plus and beside.is_file():
        table = beside
    file.cases = [with_facts(case) for case in file.cases]
    if table is not None:
        _apply_table(file, table)
    return file


def with_facts(case: Case) -> Case:
    """Return a case with the published facts where its file says nothing.

    An image that the challenge left unlabelled and that has no figures here is unlabelled.
    """
    facts = facts_of(case.id)
    if facts is None:
        return case
    return replace(
        case,
        scanner=case.scanner or facts.scanner,
        tumour=case.tumour or facts.tumour,
        species=case.species or facts.species,
        laboratory=case.laboratory or facts.laboratory,
        labelled=case.labelled and (facts.labelled or bool(case.figures)),
    )


def _apply_table(file: LabelFile, path: Path) -> None:
    rows = read_table_of_cases(path)
    unknown = sorted(set(rows) - {number_of(case.id) for case in file.cases if case.id})
    if unknown:
        file.note(path.name, f"images {numbered(unknown)} are in it and not in the labels")
    absent = [c.id for c in file.cases if c.labelled and number_of(c.id) not in rows]
    if absent:
        file.note(path.name, f"labelled cases {numbered(absent)} are not in it")
    for index, case in enumerate(file.cases):
        row = rows.get(number_of(case.id) or 0)
        if row:
            file.cases[index] = replace(
                case,
                scanner=scanner_name(row.get("scanner")) or case.scanner,
                tumour=row.get("tumor") or case.tumour,
                species=row.get("species", "").lower() or case.species,
                laboratory=row.get("origin") or case.laboratory,
            )


def read_table_of_cases(path: Path) -> dict[int, dict[str, str]]:
    """Return the rows of MIDOG++'s table by image number, keys in lower case. Raises LabelError."""
    table = CsvTable(path, LabelError)
    names = [name.lower() for name in table.columns]
    if not set(names) >= TABLE_COLUMNS:
        raise LabelError.of(
            path,
            f"is not MIDOG++'s table: it lacks {', '.join(sorted(TABLE_COLUMNS - set(names)))}",
            way_out="name datasets_xvalidation.csv, with ';' between its columns",
        )
    rows: dict[int, dict[str, str]] = {}
    for line, values in table:
        row = dict(zip(names, values, strict=True))
        number = number_of(row["slide"].zfill(3))
        if number is None:
            raise LabelError.of(
                path, f"has no image number: {shown(row['slide'])}", record=f"line {line}"
            )
        rows[number] = row
    return rows
