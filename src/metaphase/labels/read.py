"""Reads any file of labels as a Dataset: ``load_dataset``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from metaphase.errors import LabelError
from metaphase.garbage import paused_collection
from metaphase.labels.dataset import Dataset
from metaphase.labels.formats.boxformat import BoxFormat
from metaphase.labels.formats.coco import read_coco
from metaphase.labels.formats.midog import is_midog, read_midog
from metaphase.labels.formats.qupath import SUFFIXES, find_geojson, move_to_bounds, read_qupath
from metaphase.labels.imagefinder import ImageFinder
from metaphase.labels.labelfile import (
    MAX_FIGURE_PX,
    MAX_FIGURE_UM,
    LabelFile,
    check_place,
    numbered,
    record_of,
    shared,
)
from metaphase.qupath.objects import converted_features, is_geojson
from metaphase.textfile import read_head, read_json
from metaphase.units import scanner_mpp, scanner_name

KINDS = ("midog", "sliderunner", "coco", "table", "qupath", "images")
DISAGREEMENT = 0.05
"""Relative difference of two resolutions from which they are reported as different."""

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

    ``images`` is the folder of the images. By default they are searched beside the labels and in
    ``images/`` there, and a case whose file is not found has no image. ``kind`` is recognised from
    the content: ``midog`` (2021 and ++), ``sliderunner``, ``coco``, ``table`` (a CSV of figures and
    one of cases, which ``cases`` names), ``qupath`` (a GeoJSON file, or a folder of them, one an
    image: each is a labelled case), or ``images`` (a folder of unlabelled images; never assumed).
    ``cases`` is also MIDOG++'s table of tumours. ``mpp`` (um/px) and ``scanner`` are used for the
    cases for which the file has none.

    A case's id is its image's name without suffix, with its folder where several images have one
    name. Raises LabelError with everything that is wrong.
    """
    file = read_labels(
        path, images=images, kind=kind, cases=cases, mpp=mpp, scanner=scanner, name=name
    )
    return file.dataset()


@paused_collection()
def read_labels(
    path: str | Path,
    *,
    images: str | Path | None = None,
    kind: str | None = None,
    cases: str | Path | None = None,
    mpp: float | None = None,
    scanner: str | None = None,
    name: str | None = None,
) -> LabelFile:
    """Read as ``load_dataset`` does, but return the problems and notes with the cases.

    Raises LabelError only for a file that cannot be read at all.
    """
    if kind is not None and kind not in KINDS:
        raise LabelError.of(path, f"unknown kind {kind!r}", way_out=f"one of {', '.join(KINDS)}")
    if mpp is not None and not 0 < mpp < float("inf"):
        raise LabelError.of(
            path, f"{mpp} is not a resolution", way_out="give um per px, such as 0.25"
        )
    path = Path(path)
    if path.is_dir() and kind not in ("images", "qupath"):
        path = _in_folder(path)
    mpp_of_um = mpp or scanner_mpp(scanner)
    file = _read(path, kind, None if cases is None else Path(cases), mpp_of_um)
    if cases is not None and file.kind not in ("table", "midog"):
        raise LabelError.of(
            cases,
            f"has no effect: labels of the kind {file.kind} state their cases",
            way_out="leave the table of cases out",
        )
    file.name = name or file.name or (path.name if path.is_dir() else path.stem)
    _find_images(file, images)
    if file.kind == "qupath":
        _check_shared_images(file)
        move_to_bounds(file)
        _check_places(file)
    _note_disagreement(file, mpp, scanner_name(scanner))
    file.fill(mpp=mpp, scanner=scanner_name(scanner))
    check_sizes(file)
    return file


def _find_images(file: LabelFile, images: str | Path | None) -> None:
    folder = file.path if file.path.is_dir() else file.path.parent
    finder = ImageFinder(None if images is None else Path(images), folder)
    file.cases = [
        replace(case, image=None if case.image is None else finder.find(case.image))
        for case in file.cases
    ]


def _check_shared_images(file: LabelFile) -> None:
    """Report several files of one image, such as copies in another folder: each is a case."""
    for image, ids in shared((case.image, case.id) for case in file.cases if case.image):
        file.problem(
            f"case {numbered(ids)}",
            f"have the same image, {image.name}",
            "keep one file of labels for each image",
        )


def _check_places(file: LabelFile) -> None:
    """Report figures that lie outside of any image; QuPath's files do not name the image's size."""
    file.cases = [
        replace(case, figures=tuple(f for f in case.figures if check_place(file, f, None, None)))
        for case in file.cases
    ]


def check_sizes(file: LabelFile) -> None:
    """Report figures that are far larger than any cell: regions that were taken for figures."""
    for case in file.cases:
        mpp = case.mpp or scanner_mpp(case.scanner)
        most_px = MAX_FIGURE_UM / mpp if mpp else MAX_FIGURE_PX
        for figure in case.figures:
            if figure.box is None:
                continue
            x1, y1, x2, y2 = figure.box
            if max(x2 - x1, y2 - y1) > most_px:
                size = f"{x2 - x1:g} x {y2 - y1:g} px"
                if mpp:
                    size += f" ({(x2 - x1) * mpp:.0f} x {(y2 - y1) * mpp:.0f} um)"
                file.problem(
                    f"case {case.id}, {record_of(figure)}",
                    f"is {size}, which is no single cell",
                    "give regions another class than figures",
                )


def _note_disagreement(file: LabelFile, mpp: float | None, scanner: str | None) -> None:
    other = [c.id for c in file.cases if mpp and c.mpp and abs(c.mpp / mpp - 1) > DISAGREEMENT]
    if other:
        file.note(f"case {numbered(other)}", f"the labels' mpp is used, not {mpp:g} um/px")
    other = [c.id for c in file.cases if scanner and c.scanner not in (None, scanner)]
    if other:
        file.note(f"case {numbered(other)}", f"the labels' scanner is used, not {scanner}")


def _in_folder(folder: Path) -> Path:
    """Return the file of labels in a folder, or the folder itself for a folder of GeoJSON."""
    files = [folder / name for name in USUAL_NAMES if (folder / name).is_file()]
    names = [path.name for path in files]
    if "cases.csv" in names and "figures.csv" in names:
        files = [path for path in files if path.name != "cases.csv"]
    if not files and _is_geojson_folder(folder):
        return folder
    if len(files) != 1:
        raise LabelError.of(
            folder,
            "holds several files of labels: " + ", ".join(path.name for path in files)
            if files
            else "is a folder without a file of labels that metaphase knows by name",
            way_out="name the file, or --labels-format images for a folder of unlabelled images",
        )
    return files[0]


def _is_geojson_folder(folder: Path) -> bool:
    """Return whether a folder holds QuPath's files. Raises LabelError for a detector's output."""
    if not find_geojson(folder):
        return False
    if any(folder.rglob("detections.json")):
        raise LabelError.of(
            folder,
            "holds detections, which are no labels until a person has reviewed them",
            way_out="name the corrected file, or use --labels-format qupath",
        )
    return True


def _read(path: Path, kind: str | None, cases: Path | None, mpp: float | None) -> LabelFile:
    if kind == "images":
        from metaphase.labels.formats.imagefolder import read_image_folder

        return read_image_folder(path)
    if kind == "qupath" or path.is_dir():
        return read_qupath(path)
    detected = kind or _kind_of(path)
    if detected == "sliderunner":
        from metaphase.labels.formats.sliderunner import read_sliderunner

        return read_sliderunner(path)
    if detected == "table":
        from metaphase.labels.formats.table import read_table

        return read_table(path, cases, mpp)
    return _read_json(path, kind, cases)


def _read_json(path: Path, kind: str | None, table: Path | None) -> LabelFile:
    data = read_json(path, LabelError, convert=converted_features())
    # An empty list is GeoJSON of an image without objects only by the name of its file.
    if kind is None and is_geojson(data) and (data or path.name.lower().endswith(SUFFIXES)):
        return read_qupath(path, data)
    if not isinstance(data, dict) or not {"images", "annotations"} <= set(data):
        raise LabelError.of(
            path,
            "is JSON, but not a file of labels: it has no images and annotations",
            way_out="name a COCO, MIDOG or QuPath GeoJSON file",
        )
    # A kind that the user names fixes the box format too; otherwise the numbers decide.
    formats: dict[Any, BoxFormat] = {"midog": "xyxy", "coco": "xywh"}
    if kind == "midog" or (kind is None and is_midog(data)):
        return read_midog(path, data, table=table, box_format=formats.get(kind))
    return read_coco(path, data, box_format=formats.get(kind))


def _kind_of(path: Path) -> str:
    """Recognise a file by its first bytes. Raises LabelError."""
    start = read_head(path, LabelError)
    if start.startswith(b"SQLite format 3\x00"):
        return "sliderunner"
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        start = start.decode("utf-16", "ignore").encode()
    start = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] in (b"{", b"["):
        return "json"
    first = start.splitlines()[0] if start else b""
    if b"\x00" not in first and any(mark in first for mark in (b",", b";", b"\t", b"sep=|")):
        return "table"
    raise LabelError.of(
        path,
        "is no file of labels that metaphase knows" if start else "is empty",
        way_out="it reads MIDOG, COCO and QuPath's JSON, SlideRunner databases and CSV tables",
    )
