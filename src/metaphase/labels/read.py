"""The door: any file of labels becomes a Dataset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from metaphase.errors import LabelError
from metaphase.files import open_regular
from metaphase.labels.boxformat import BoxFormat
from metaphase.labels.coco import read_coco
from metaphase.labels.dataset import Dataset
from metaphase.labels.images import ImageFinder
from metaphase.labels.midog import is_midog, read_midog
from metaphase.labels.qupath import looks_like, move_to_bounds, read_qupath
from metaphase.labels.reading import Reading, numbered
from metaphase.labels.textfile import read_json
from metaphase.units import scanner_name

KINDS = ("midog", "sliderunner", "coco", "table", "qupath", "images")
DISAGREEMENT = 0.05
USUAL_NAMES = (
    "MIDOG.json",
    "MIDOG++.json",
    "MIDOGpp.json",
    "annotations.json",
    "cases.csv",
    "figures.csv",
)


def load_dataset(
    path: str | Path,
    *,
    images: str | Path | None = None,
    kind: str | None = None,
    cases: str | Path | None = None,
    mpp: float | None = None,
    scanner: str | None = None,
    name: str | None = None,
) -> Dataset:
    """Read a file of labels, or a folder with one of the usual names in it.

    ``images`` is the folder of the images; by default they are looked for beside the labels and in
    ``images/`` there, and a case whose file is not found has no image. ``kind`` is recognised from
    the content: ``midog`` (2021 and ++), ``sliderunner``, ``coco``, ``table`` (a CSV of figures and
    one of cases, which ``cases`` names), ``qupath`` (a GeoJSON file, or a folder of them, one an
    image: each is a labelled case), or ``images`` (a folder of unlabelled images; never assumed).
    ``cases`` is also MIDOG++'s table of tumours. ``mpp`` (um/px) and ``scanner`` hold for the cases
    of which the file does not tell them.

    A case's id is its image's name without suffix. Raises LabelError with everything that is wrong.
    """
    reading = read_labels(
        path, images=images, kind=kind, cases=cases, mpp=mpp, scanner=scanner, name=name
    )
    return reading.dataset()


def read_labels(
    path: str | Path,
    *,
    images: str | Path | None = None,
    kind: str | None = None,
    cases: str | Path | None = None,
    mpp: float | None = None,
    scanner: str | None = None,
    name: str | None = None,
) -> Reading:
    """Read as ``load_dataset`` does, but return the problems and notes with the cases.

    Raises LabelError only for a file that cannot be read at all.
    """
    if kind is not None and kind not in KINDS:
        raise LabelError.of(path, f"unknown kind {kind!r}", way_out=f"one of {', '.join(KINDS)}")
    if mpp is not None and not 0 < mpp < float("inf"):
        raise LabelError.of(path, f"{mpp} is no resolution", way_out="give um per px, such as 0.25")
    path = Path(path)
    if path.is_dir() and kind not in ("images", "qupath"):
        path = _in_folder(path)
    reading = _read(path, kind, None if cases is None else Path(cases))
    if name:
        reading.name = name
    beside = path if path.is_dir() else path.parent
    finder = ImageFinder(None if images is None else Path(images), beside)
    reading.cases = [
        replace(case, image=None if case.image is None else finder.find(case.image))
        for case in reading.cases
    ]
    if reading.kind == "qupath":
        move_to_bounds(reading)
    _tell_disagreement(reading, mpp, scanner_name(scanner))
    reading.fill(mpp=mpp, scanner=scanner_name(scanner))
    return reading


def _tell_disagreement(reading: Reading, mpp: float | None, scanner: str | None) -> None:
    other = [c.id for c in reading.cases if mpp and c.mpp and abs(c.mpp / mpp - 1) > DISAGREEMENT]
    if other:
        reading.note(
            f"case {numbered(other)}", f"its mpp is used as the labels tell it, not {mpp:g} um/px"
        )
    other = [c.id for c in reading.cases if scanner and c.scanner not in (None, scanner)]
    if other:
        reading.note(
            f"case {numbered(other)}", f"its scanner is used as the labels tell it, not {scanner}"
        )


def _in_folder(folder: Path) -> Path:
    found = [folder / name for name in USUAL_NAMES if (folder / name).is_file()]
    if "cases.csv" in (p.name for p in found) and "figures.csv" in (p.name for p in found):
        found = [p for p in found if p.name != "cases.csv"]
    if not found and _is_geojson(folder):
        return folder
    if len(found) != 1:
        raise LabelError.of(
            folder,
            "holds several files of labels: " + ", ".join(p.name for p in found)
            if found
            else "is a folder without a file of labels that metaphase knows by name",
            way_out="name the file, or --labels-format images for a folder of unlabelled images",
        )
    return found[0]


def _is_geojson(folder: Path) -> bool:
    """Tell whether a folder holds QuPath's files. Raises LabelError for a detector's output."""
    if not any(folder.rglob("*.geojson")):
        return False
    if any(folder.rglob("detections.json")):
        raise LabelError.of(
            folder,
            "holds detections, which are no labels until somebody has looked at them",
            way_out="name the file that was corrected, or say --labels-format qupath",
        )
    return True


def _read(path: Path, kind: str | None, cases: Path | None) -> Reading:
    if kind == "images":
        from metaphase.labels.folder import read_folder

        return read_folder(path)
    if kind == "qupath" or path.is_dir():
        return read_qupath(path)
    found = kind or _kind_of(path)
    if found == "sliderunner":
        from metaphase.labels.sliderunner import read_sliderunner

        return read_sliderunner(path)
    if found == "table":
        from metaphase.labels.table import read_table

        return read_table(path, cases)
    return _read_json(path, kind, cases)


def _read_json(path: Path, kind: str | None, table: Path | None) -> Reading:
    data = read_json(path)
    if kind is None and looks_like(data):
        return read_qupath(path)
    if not isinstance(data, dict) or not {"images", "annotations"} <= set(data):
        raise LabelError.of(
            path,
            "is JSON, but not a file of labels: it has no images and annotations",
            way_out="name a COCO, MIDOG or QuPath GeoJSON file",
        )
    # A kind that the user names fixes the box format too; otherwise the file's numbers tell it.
    formats: dict[Any, BoxFormat] = {"midog": "xyxy", "coco": "xywh"}
    if kind == "midog" or (kind is None and is_midog(data)):
        return read_midog(path, data, table=table, box_format=formats.get(kind))
    return read_coco(path, data, box_format=formats.get(kind))


def _kind_of(path: Path) -> str:
    try:
        with open_regular(path) as stream:
            head = stream.read(4096)
    except OSError as error:
        raise LabelError.of(
            path, f"cannot be read: {error.strerror or error}", way_out="check the path"
        ) from error
    if head.startswith(b"SQLite format 3\x00"):
        return "sliderunner"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] in (b"{", b"["):
        return "json"
    first = start.splitlines()[0] if start else b""
    if b"\x00" not in first and any(mark in first for mark in (b",", b";", b"\t")):
        return "table"
    raise LabelError.of(
        path,
        "is no file of labels that metaphase knows" if start else "is empty",
        way_out="it reads MIDOG, COCO and QuPath's JSON, SlideRunner databases and CSV tables",
    )
