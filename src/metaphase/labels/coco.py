"""Reads COCO-like JSON: images, annotations, categories, with boxes of either format.

Beside COCO's own fields an image may say ``scanner``, ``mpp``, ``labelled`` (false: nobody looked),
``slide`` (or ``group``, ``patient``: what must stay together; a ``dataset`` beside it goes before),
``tumour`` (or ``tumor_type``), ``species`` and ``laboratory``; ``info`` may say ``mpp`` and
``scanner`` for all images. An annotation's ``centroid`` or ``center``, where there is one, is its
point; otherwise it is the centre of the box.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaphase.boxes import centres, xywh_to_xyxy
from metaphase.errors import LabelError
from metaphase.figures import Figure, Label
from metaphase.labels.boxformat import WORDS, BoxFormat, key_of, point_of, stated, vote
from metaphase.labels.dataset import Case
from metaphase.labels.reading import (
    Reading,
    case_id,
    check_place,
    label_of,
    numbered,
    repeated,
)
from metaphase.labels.values import first_text, flag, length_px, resolution_um, share
from metaphase.units import scanner_name

Record = Mapping[str, Any]

LOOKS_LIKE = 0.2
"""Share of impossible boxes from which the whole file is held to use the other format."""


def read_coco(
    path: Path, data: Record, *, box_format: BoxFormat | None = None, kind: str = "coco"
) -> Reading:
    """Read parsed JSON. ``box_format`` None: the file's own words, else its numbers decide.

    All that is wrong is gathered in the Reading; nothing is raised but for a file without lists.
    """
    info = data.get("info")
    info = info if isinstance(info, dict) else {}
    reading = Reading(path, kind, name=_name(info) or path.stem)
    images = _records(path, data, "images")
    annotations = _records(path, data, "annotations")
    labels = _labels(reading, data)
    by_image = _group(reading, images, _usable(reading, annotations))
    used = _choose_format(reading, images, by_image, box_format or stated(info), kind)
    reader = _Reader(reading, info, labels, used)
    for image in images:
        reader.add(image, by_image.get(key_of(image.get("id")), []))
    reader.tell_left_out()
    reading.drop_doubles()
    return reading


def _records(path: Path, data: Record, name: str) -> list[Record]:
    rows = data.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise LabelError.of(path, f"has no list of {name}", way_out="name a COCO or MIDOG file")
    return rows


def _name(info: Record) -> str:
    """Return the file's name for itself: its description up to the first comma."""
    return str(info.get("name") or info.get("description") or "").partition(",")[0].strip()


def _labels(reading: Reading, data: Record) -> dict[Any, Label | None]:
    rows = data.get("categories")
    names = {
        key_of(row.get("id")): str(row.get("name", ""))
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
    }
    labels = {key: label_of(name) for key, name in names.items()}
    if Label.MITOTIC not in labels.values():
        reading.problem(
            "categories",
            f"none is called mitotic figure: {numbered(names.values()) or 'there are none'}",
            "name the categories 'mitotic figure' and, where labelled, 'hard negative'",
        )
    return labels


def _usable(reading: Reading, annotations: list[Record]) -> list[Record]:
    """Return the annotations whose box is four numbers; tell of the others and of double ids."""
    for id_, n in repeated(key_of(a.get("id")) for a in annotations if "id" in a):
        reading.problem(f"annotation {id_}", f"its id appears {n} times", "number them anew")
    good = []
    for index, annotation in enumerate(annotations):
        box = annotation.get("bbox")
        numbers = isinstance(box, list) and len(box) == 4 and all(map(_is_number, box))
        if numbers:
            good.append(annotation)
        else:
            name = f"annotation {annotation.get('id', f'no. {index + 1}')}"
            reading.problem(name, f"bbox is not four numbers: {box!r}")
    return good


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _group(
    reading: Reading, images: list[Record], annotations: list[Record]
) -> dict[Any, list[Record]]:
    for id_, n in repeated(key_of(image.get("id")) for image in images):
        reading.problem(f"image {id_}", f"its id appears {n} times", "number the images anew")
    groups: dict[Any, list[Record]] = {key_of(image.get("id")): [] for image in images}
    lost: dict[Any, list[Any]] = {}
    for annotation in annotations:
        key = key_of(annotation.get("image_id"))
        if key in groups:
            groups[key].append(annotation)
        else:
            lost.setdefault(key, []).append(annotation.get("id"))
    for key, ids in lost.items():
        reading.problem(
            f"annotation {numbered(ids)}", f"image {key} is missing from the list of images"
        )
    return groups


def _choose_format(
    reading: Reading,
    images: list[Record],
    by_image: dict[Any, list[Record]],
    wanted: BoxFormat | None,
    kind: str,
) -> BoxFormat:
    sizes = {
        key_of(image.get("id")): (float(image["width"]), float(image["height"]))
        for image in images
        if _is_number(image.get("width")) and _is_number(image.get("height"))
    }
    votes = vote((a for group in by_image.values() for a in group), sizes)
    usual: BoxFormat = "xyxy" if kind == "midog" else "xywh"
    best = votes.best(usual)
    if wanted is None:
        return best
    other: BoxFormat = "xywh" if wanted == "xyxy" else "xyxy"
    if best == other and votes.against(wanted) > LOOKS_LIKE * votes.total:
        reading.problem(
            "bbox",
            f"boxes look like {WORDS[other]}, not {WORDS[wanted]}: {votes.against(wanted)} of "
            f"{votes.total} are impossible as {WORDS[wanted]}, {votes.against(other)} as the other",
            "leave --labels-format out, or put info.bbox in the file right",
        )
        return other  # so that this one problem does not hide what else there is
    return wanted


@dataclass
class _Reader:
    """Turns one image and its annotations after the other into cases of a reading."""

    reading: Reading
    info: Record
    labels: dict[Any, Label | None]
    box_format: BoxFormat

    def __post_init__(self) -> None:
        self.left_out: Counter[Any] = Counter()

    def add(self, image: Record, annotations: list[Record]) -> None:
        name = image.get("file_name")
        if not isinstance(name, str) or not name.strip():
            self.reading.problem(f"image {image.get('id')}", "has no file_name")
            return
        record = f"image {name}"
        width = length_px(self.reading, record, "width", image.get("width"))
        height = length_px(self.reading, record, "height", image.get("height"))
        figures = [f for a in annotations if (f := self.figure(a, width, height))]
        labelled = flag(self.reading, record, "labelled", image.get("labelled"))
        if labelled is False and figures:
            self.reading.problem(record, f"is marked unlabelled but has {len(figures)} figures")
        self.reading.cases.append(
            Case(
                id=case_id(name),
                image=Path(name),
                mpp=resolution_um(self.reading, record, image.get("mpp", self.info.get("mpp"))),
                scanner=scanner_name(
                    first_text(image, "scanner") or first_text(self.info, "scanner")
                ),
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
        rows = (
            annotation["bbox"] if self.box_format == "xyxy" else xywh_to_xyxy(annotation["bbox"])[0]
        )
        x1, y1, x2, y2 = (float(value) for value in rows)
        id_ = str(annotation.get("id", ""))
        if x2 <= x1 or y2 <= y1:
            self.reading.problem(
                f"annotation {id_}",
                f"box {annotation['bbox']} has no area as {WORDS[self.box_format]}",
                "put its corners right",
            )
            return None
        x, y = point_of(annotation) or centres([[x1, y1, x2, y2]])[0]
        confidence = share(
            self.reading, f"annotation {id_}", "confidence", annotation.get("confidence")
        )
        figure = Figure(id_, float(x), float(y), label, (x1, y1, x2, y2), confidence)
        return figure if check_place(self.reading, figure, width, height) else None

    def tell_left_out(self) -> None:
        for category, n in self.left_out.items():
            self.reading.note(
                f"category {category}", f"{n} annotations of another kind are left out"
            )


def _group_of(image: Record) -> str | None:
    group = first_text(image, "group", "slide", "patient", "case")
    if group is None:
        return None
    source = first_text(image, "dataset")
    return f"{source}/{case_id(group)}" if source else case_id(group)
