"""Reads QuPath's GeoJSON as labels: figures that a person drew, or corrected after a detector.

One file an image, named as the image (``slide.geojson``, ``slide.svs.geojson``), or in a folder of
that name if it is called ``detections.geojson`` or the like. Where files in several folders have
one name, the folders are part of the image's name: ``patient1/01.geojson``. A file means that a
person looked for figures in its image, so each is a labelled case, also without figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from metaphase.classnames import atypical_of, label_of
from metaphase.errors import LabelError
from metaphase.figures import Figure, Label
from metaphase.labels.casenames import case_id, image_name, image_place
from metaphase.labels.dataset import Case
from metaphase.labels.labelfile import LabelFile
from metaphase.qupath.bounds import NO_OFFSET, Offset, bounds_of_file
from metaphase.qupath.classes import CLASS_HINT, is_ignored
from metaphase.qupath.geometry import Box
from metaphase.qupath.objects import QuPathObject, converted_features, objects_of
from metaphase.textfile import read_json
from metaphase.values import shown

SUFFIXES = (".geojson", ".geojson.gz")

OTHERS = ("hotspots.geojson", "tissue.geojson", "roi.geojson")
"""Files beside detections that hold no figures."""


def read_qupath(path: Path, data: Any = None) -> LabelFile:
    """Read one file, or all of a folder, as labelled cases.

    ``data`` is the one file's JSON, where it is parsed already (``converted_features``).
    """
    labels = LabelFile(path, "qupath")
    files = geojson_files(path)
    times = Counter(case_id(image_name(file)) for file in files)
    for file in files:
        name = image_name(file)
        if times[case_id(name)] > 1:
            name = image_place(file, path)
        try:
            convert = converted_features()
            content = read_json(file, LabelError, convert=convert) if data is None else data
            objects = objects_of(content, file, LabelError)
        except LabelError as error:
            labels.problems += error.problems
            continue
        one = LabelFile(file, "qupath")
        figures = _figures(one, objects)
        labels.problems += one.problems
        labels.notes += one.notes
        labels.cases.append(Case(case_id(name), image=Path(name), figures=figures))
    labels.separate_cases()
    return labels


def geojson_files(path: Path) -> list[Path]:
    """Return the files of figures in a folder, or the one file. Raises LabelError."""
    if not path.is_dir():
        return [path]
    files = [file for file in find_geojson(path) if file.name.lower() not in OTHERS]
    if not files:
        raise LabelError.of(path, "holds no .geojson file")
    return files


def find_geojson(folder: Path) -> list[Path]:
    """Return the GeoJSON files in a folder and the folders in it; hidden files are left out."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.name.lower().endswith(SUFFIXES) and not file.name.startswith(".")
    )


def move_to_bounds(labels: LabelFile) -> None:
    """Shift the figures of slides with bounds, as soon as their images are known."""
    for i, case in enumerate(labels.cases):
        offset = bounds_of_file(case.image) if case.image is not None else NO_OFFSET
        if offset != NO_OFFSET:
            figures = tuple(moved(figure, offset) for figure in case.figures)
            labels.cases[i] = replace(case, figures=figures)
            labels.note(
                f"case {case.id}",
                f"moved by the slide's bounds, {offset[0]:g}, {offset[1]:g} px, as QuPath does",
            )


def moved(figure: Figure, offset_px: Offset) -> Figure:
    """Return a figure shifted by x, y."""
    dx, dy = offset_px
    box = figure.box and (
        figure.box[0] + dx, figure.box[1] + dy, figure.box[2] + dx, figure.box[3] + dy
    )  # fmt: skip
    return replace(figure, x_px=figure.x_px + dx, y_px=figure.y_px + dy, box=box)


def labelled_objects(
    objects: Iterable[QuPathObject],
) -> Iterator[tuple[QuPathObject, Label | None, str]]:
    """Yield each object with its label, or with what is wrong with it; ignored ones are left out.

    The text is empty where the object can be used.
    """
    for item in objects:
        if is_ignored(item.class_name):
            continue
        label = label_of(item.class_name)
        if label is None:
            name = item.class_name
            wrong = f"has the class {shown(name)}, which is no label" if name else "has no class"
            yield item, None, wrong
        elif item.boxes is None:
            yield item, label, "is neither points nor polygons of finite numbers"
        else:
            yield item, label, ""


def _figures(file: LabelFile, objects: Iterable[QuPathObject]) -> tuple[Figure, ...]:
    figures: dict[str, Figure] = {}
    for number, (item, label, wrong) in enumerate(labelled_objects(objects), 1):
        if wrong or label is None:
            file.problem(item.record, wrong, "" if label else CLASS_HINT)
            continue
        boxes = item.boxes or ()
        for part, box in enumerate(boxes, 1):
            name = item.id or str(number)
            id_ = f"{name}/{part}" if len(boxes) > 1 else name
            _add(file, figures, _figure(id_, label, box, atypical_of(item.class_name)))
    return tuple(figures.values())


def _figure(id_: str, label: Label, box: Box, atypical: float | None) -> Figure:
    x1, y1, x2, y2 = box
    if (x1, y1) == (x2, y2):
        return Figure(id_, x1, y1, label, atypical=atypical)
    return Figure(id_, (x1 + x2) / 2, (y1 + y2) / 2, label, box, atypical=atypical)


def _add(file: LabelFile, figures: dict[str, Figure], figure: Figure) -> None:
    """Add a figure. An object may stand in a file twice, and two objects may share an id."""
    same = figures.get(figure.id)
    if same == figure:
        file.note(f"feature {figure.id}", "is in the file twice: read once")
        return
    if same is not None:
        file.note(f"feature {figure.id}", "its id is used for several objects: all are read")
        figure = replace(figure, id=_free_id(figure.id, figures))
    figures[figure.id] = figure


def _free_id(id_: str, figures: Mapping[str, Figure]) -> str:
    number = 2
    while f"{id_}#{number}" in figures:
        number += 1
    return f"{id_}#{number}"
