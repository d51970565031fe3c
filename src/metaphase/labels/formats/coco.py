"""Reads COCO-like JSON: images, annotations, categories, with boxes of either format.

Besides COCO's own fields an image may have ``scanner``, ``mpp``, ``labelled`` (false: no one looked
for figures), ``slide`` (or ``group``, ``patient``: cases that must stay together; a ``dataset`` is
put before it), ``tumour`` (or ``tumor_type``), ``species`` and ``laboratory``; ``info`` may have
``mpp`` and ``scanner`` for all images. ``atypical`` (true, false, or the share of readers) of an
annotation says whether a mitotic figure is atypical; of an image (a crop) it is about the figure in
the centre. An annotation's ``centroid`` or ``center`` is its point;
without one it is the centre of the box. Ids may be numbers or text: "1" and 1 are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from metaphase.classnames import atypical_of, label_of, mentions_mitosis
from metaphase.errors import LabelError
from metaphase.figures import Figure, Label
from metaphase.labels.casenames import case_id, image_path
from metaphase.labels.dataset import Case
from metaphase.labels.formats.boxformat import (
    WORDS,
    BoxFormat,
    is_crowd,
    key_of,
    point_of,
    stated,
    vote,
)
from metaphase.labels.formats.fields import (
    first_text,
    flag,
    flag_or_share,
    length_px,
    resolution_um,
    share,
)
from metaphase.labels.labelfile import LabelFile, check_place, numbered, repeated
from metaphase.units import scanner_name
from metaphase.values import finite, shown

Record = Mapping[str, Any]
Key = int | str

OTHER_FORMAT_SHARE = 0.2
"""Share of impossible boxes from which the whole file is held to use the other format."""


def read_coco(
    path: Path, data: Record, *, box_format: BoxFormat | None = None, kind: str = "coco"
) -> LabelFile:
    """Read parsed JSON. ``box_format`` None: what ``info`` says, else the numbers decide.

    All that is wrong is gathered in the LabelFile. Raises LabelError only for a file without lists
    of images and annotations.
    """
    info = data.get("info")
    info = info if isinstance(info, dict) else {}
    file = LabelFile(path, kind, name=_name(info) or path.stem)
    images = _records(path, data, "images")
    annotations = _records(path, data, "annotations")
    classes = _classes(file, data)
    by_image = _by_image(file, images, _with_boxes(file, annotations))
    used = _choose_format(file, images, by_image, box_format or stated(info), kind)
    cases = _Cases(file, info, classes, used)
    for image in images:
        cases.add(image, by_image.get(key_of(image.get("id")), []))
    cases.report_left_out()
    file.separate_cases()
    return file


def _records(path: Path, data: Record, name: str) -> list[Record]:
    rows = data.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise LabelError.of(path, f"has no list of {name}", way_out="name a COCO or MIDOG file")
    return rows


def _name(info: Record) -> str:
    """Return the name that the file gives itself: its description up to the first comma."""
    return (first_text(info, "name", "description") or "").partition(",")[0].strip()


def _classes(file: LabelFile, data: Record) -> dict[Key, str]:
    """Return the names of the categories by id."""
    rows = data.get("categories")
    named = [row for row in (rows if isinstance(rows, list) else []) if isinstance(row, dict)]
    for id_, n in repeated(key_of(row.get("id")) for row in named):
        file.problem(f"category {id_}", f"its id appears {n} times", "number the categories anew")
    names = {key_of(row.get("id")): first_text(row, "name") or "" for row in named}
    if Label.MITOTIC not in map(label_of, names.values()):
        file.problem(
            "categories",
            f"none is called mitotic figure: {numbered(names.values()) or 'there are none'}",
            "name the categories 'mitotic figure' and, where labelled, 'hard negative'",
        )
    return names


def _with_boxes(file: LabelFile, annotations: list[Record]) -> list[Record]:
    """Return the annotations that have a box of four numbers and are one figure."""
    for id_, n in repeated(key_of(a.get("id")) for a in annotations if "id" in a):
        file.problem(f"annotation {id_}", f"its id appears {n} times", "number them anew")
    good = []
    for index, annotation in enumerate(annotations):
        box = annotation.get("bbox")
        wrong = ""
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
            wrong, way_out = f"bbox is not four numbers: {shown(box)}", ""
        elif is_crowd(annotation):
            wrong = "is a region of several objects (iscrowd or ignore), not one figure"
            way_out = "outline each figure, or remove the region"
        if not wrong:
            good.append(annotation)
        else:
            name = annotation.get("id", f"no. {index + 1}")
            file.problem(f"annotation {key_of(name)}", wrong, way_out)
    return good


def _is_number(value: Any) -> bool:
    return not isinstance(value, str) and finite(value) is not None


def _by_image(
    file: LabelFile, images: list[Record], annotations: list[Record]
) -> dict[Key, list[Record]]:
    for id_, n in repeated(key_of(image.get("id")) for image in images):
        file.problem(f"image {id_}", f"its id appears {n} times", "number the images anew")
    groups: dict[Key, list[Record]] = {key_of(image.get("id")): [] for image in images}
    lost: dict[Key, list[Key]] = {}
    for annotation in annotations:
        key = key_of(annotation.get("image_id"))
        if key in groups:
            groups[key].append(annotation)
        else:
            lost.setdefault(key, []).append(key_of(annotation.get("id")))
    for key, ids in lost.items():
        file.problem(
            f"annotation {numbered(ids)}", f"image {key} is missing from the list of images"
        )
    return groups


def _choose_format(
    file: LabelFile,
    images: list[Record],
    by_image: dict[Key, list[Record]],
    named: BoxFormat | None,
    kind: str,
) -> BoxFormat:
    """Return the format of the boxes; a named one that cannot be right is a problem."""
    sizes = {
        key_of(image.get("id")): (float(image["width"]), float(image["height"]))
        for image in images
        if _is_number(image.get("width")) and _is_number(image.get("height"))
    }
    votes = vote((a for group in by_image.values() for a in group), sizes)
    usual: BoxFormat = "xyxy" if kind == "midog" else "xywh"
    best = votes.best(usual)
    if named is None:
        return best
    other: BoxFormat = "xywh" if named == "xyxy" else "xyxy"
    if best == other and votes.against(named) > OTHER_FORMAT_SHARE * votes.total:
        file.problem(
            "bbox",
            f"boxes look like {WORDS[other]}, not {WORDS[named]}: {votes.against(named)} of "
            f"{votes.total} are impossible as {WORDS[named]}, {votes.against(other)} as the other",
            "leave --labels-format out, or correct info.bbox in the file",
        )
        return other  # so that this one problem does not hide others
    return named


def _with_central(figures: list[Figure], x: float, y: float, atypical: float) -> list[Figure]:
    """Return the figures; the mitotic one nearest to the centre of a crop gets ``atypical``.

    A figure whose box does not contain the centre is a neighbour, of which nothing is said.
    """
    near = [
        ((f.x_px - x) ** 2 + (f.y_px - y) ** 2, i)
        for i, f in enumerate(figures)
        if f.label == Label.MITOTIC
        and f.box is not None
        and f.box[0] <= x <= f.box[2]
        and f.box[1] <= y <= f.box[3]
    ]
    if near and figures[i := min(near)[1]].atypical is None:
        figures[i] = replace(figures[i], atypical=atypical)
    return figures


@dataclass
class _Cases:
    """Turns images and their annotations into cases of a file."""

    file: LabelFile
    info: Record
    classes: dict[Key, str]
    box_format: BoxFormat

    def __post_init__(self) -> None:
        self.labels = {key: label_of(name) for key, name in self.classes.items()}
        self.left_out: Counter[Key] = Counter()

    def add(self, image: Record, annotations: list[Record]) -> None:
        name = image.get("file_name")
        if not isinstance(name, str) or not name.strip():
            self.file.problem(f"image {key_of(image.get('id'))}", "has no file_name")
            return
        record = f"image {name}"
        width = length_px(self.file, record, "width", image.get("width"))
        height = length_px(self.file, record, "height", image.get("height"))
        figures = [f for a in annotations if (f := self.figure(a, width, height))]
        central = flag_or_share(self.file, record, "atypical", image.get("atypical"))
        if central is not None and width and height:
            figures = _with_central(figures, width / 2, height / 2, central)
        labelled = flag(self.file, record, "labelled", image.get("labelled"))
        if labelled is False and figures:
            self.file.problem(record, f"is marked unlabelled but has {len(figures)} figures")
        scanner = first_text(image, "scanner") or first_text(self.info, "scanner")
        self.file.cases.append(
            Case(
                id=case_id(name),
                image=image_path(name),
                mpp=resolution_um(self.file, record, image.get("mpp", self.info.get("mpp"))),
                scanner=scanner_name(scanner),
                tumour=first_text(image, "tumour", "tumor", "tumor_type", "tumour_type"),
                labelled=labelled is not False,
                figures=tuple(figures) if labelled is not False else (),
                width_px=width,
                height_px=height,
                group=_group_of(image),
                species=first_text(image, "species"),
                laboratory=first_text(image, "laboratory", "lab", "origin"),
            )
        )

    def figure(self, annotation: Record, width: int | None, height: int | None) -> Figure | None:
        """Return the figure, or None for another class or an impossible place."""
        category = key_of(annotation.get("category_id"))
        label = self.labels.get(category)
        if label is None:
            self.left_out[category] += 1
            return None
        x1, y1, x2, y2 = map(float, annotation["bbox"])
        if self.box_format == "xywh":
            x2, y2 = x1 + x2, y1 + y2
        id_ = str(key_of(annotation.get("id", "")))
        if x2 <= x1 or y2 <= y1:
            self.file.problem(
                f"annotation {id_}",
                f"box {shown(annotation['bbox'])} has no area as {WORDS[self.box_format]}",
                "correct its corners",
            )
            return None
        x, y = point_of(annotation) or ((x1 + x2) / 2, (y1 + y2) / 2)
        confidence = share(
            self.file, f"annotation {id_}", "confidence", annotation.get("confidence")
        )
        atypical = flag_or_share(
            self.file, f"annotation {id_}", "atypical", annotation.get("atypical")
        )
        if atypical is None:
            atypical = atypical_of(self.classes[category])
        if label != Label.MITOTIC:
            atypical = None
        figure = Figure(id_, x, y, label, (x1, y1, x2, y2), confidence, atypical)
        return figure if check_place(self.file, figure, width, height) else None

    def report_left_out(self) -> None:
        """Report classes that are not read: a note, or a problem where a name leaves doubt."""
        for category, n in self.left_out.items():
            name = self.classes.get(category)
            record = f"category {category}" + (f" ({shown(name)})" if name else "")
            if name is None:
                self.file.problem(
                    record,
                    f"is missing from the list of categories; {n} annotations have it",
                    "add it to the categories with its name",
                )
            elif mentions_mitosis(name):
                self.file.problem(
                    record,
                    f"{n} annotations of a class that is no known label",
                    "rename it to 'mitotic figure' or 'hard negative', or remove its annotations",
                )
            else:
                self.file.note(record, f"{n} annotations of another kind are left out")


def _group_of(image: Record) -> str | None:
    group = first_text(image, "group", "slide", "patient", "case")
    if group is None:
        return None
    source = first_text(image, "dataset")
    return f"{source}/{case_id(group)}" if source else case_id(group)
