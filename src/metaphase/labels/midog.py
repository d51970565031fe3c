"""Reads MIDOG 2021's and MIDOG++'s JSON, which look like COCO but write x1, y1, x2, y2.

The files name neither scanner nor laboratory: the published facts (midogfacts) tell them by the
image's number, and MIDOG++'s own table (``Slide;Dataset;Tumor;Scanner;Origin;Species``), given or
found beside the labels, has the last word.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from metaphase.errors import LabelError
from metaphase.labels.boxformat import BoxFormat
from metaphase.labels.coco import read_coco
from metaphase.labels.dataset import Case
from metaphase.labels.midogfacts import facts_of, number_of
from metaphase.labels.reading import Reading, numbered
from metaphase.labels.textfile import read_text
from metaphase.units import scanner_name

TABLE_NAME = "datasets_xvalidation.csv"
TABLE_COLUMNS = {"slide", "tumor", "scanner", "species"}
LAST_OF_2021 = 200


def is_midog(data: Mapping[str, Any]) -> bool:
    """Say whether parsed JSON is MIDOG's: numbered TIFFs, of which nobody says the scanner."""
    images = data.get("images")
    if not isinstance(images, list) or not images or not isinstance(data.get("annotations"), list):
        return False
    info = data.get("info")
    if isinstance(info, dict) and "synthetic" in str(info.get("description", "")).lower():
        return False
    return all(
        isinstance(image, dict)
        and "scanner" not in image
        and number_of(str(image.get("file_name"))) is not None
        for image in images
    )


def read_midog(
    path: Path,
    data: Mapping[str, Any],
    *,
    table: Path | None = None,
    box_format: BoxFormat | None = None,
) -> Reading:
    """Read parsed JSON of MIDOG 2021 or MIDOG++, with MIDOG++'s table of cases if there is one."""
    reading = read_coco(path, data, box_format=box_format, kind="midog")
    plus = any((number_of(case.id) or 0) > LAST_OF_2021 for case in reading.cases)
    reading.name = "MIDOG++" if plus else "MIDOG 2021"
    beside = path.parent / TABLE_NAME
    if table is None and plus and beside.is_file():
        table = beside
    reading.cases = [with_facts(case) for case in reading.cases]
    if table is not None:
        _apply_table(reading, table)
    return reading


def with_facts(case: Case) -> Case:
    """Return a case with the published facts where its file says nothing.

    Without figures, an image that nobody labelled is unlabelled, not empty.
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


def _apply_table(reading: Reading, path: Path) -> None:
    rows = read_table_of_cases(path)
    unknown = sorted(set(rows) - {number_of(case.id) for case in reading.cases if case.id})
    if unknown:
        reading.note(path.name, f"images {numbered(unknown)} are in it and not in the labels")
    absent = [c.id for c in reading.cases if c.labelled and number_of(c.id) not in rows]
    if absent:
        reading.note(path.name, f"labelled cases {numbered(absent)} are not in it")
    for index, case in enumerate(reading.cases):
        row = rows.get(number_of(case.id) or 0)
        if row:
            reading.cases[index] = replace(
                case,
                scanner=scanner_name(row.get("scanner")) or case.scanner,
                tumour=row.get("tumor") or case.tumour,
                species=row.get("species", "").lower() or case.species,
                laboratory=row.get("origin") or case.laboratory,
            )


def read_table_of_cases(path: Path) -> dict[int, dict[str, str]]:
    """Return the rows of MIDOG++'s table by image number, keys in lower case. Raises LabelError."""
    rows: dict[int, dict[str, str]] = {}
    reader = csv.DictReader(read_text(path).splitlines(), delimiter=";")
    names = {name.strip().lower() for name in reader.fieldnames or () if name}
    if not names >= TABLE_COLUMNS:
        raise LabelError.of(
            path,
            f"is not MIDOG++'s table: it lacks {', '.join(sorted(TABLE_COLUMNS - names))}",
            way_out="name datasets_xvalidation.csv, with ';' between its columns",
        )
    for row in reader:
        clean = {k.strip().lower(): (v or "").strip() for k, v in row.items() if k}
        number = number_of(clean["slide"].zfill(3))
        if number is None:
            raise LabelError.of(
                path, f"no image number: {clean['slide']!r}", record=f"line {reader.line_num}"
            )
        rows[number] = clean
    return rows
