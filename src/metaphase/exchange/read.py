"""Reads detections from a file or folder of any kind: ``read_detections``."""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from metaphase.detectionfile import CSV_NAME, JSON_NAME, load_detections
from metaphase.errors import DetectionsError, Problem
from metaphase.exchange import coco, csv, dicom, grandchallenge, qupath, sliderunner
from metaphase.exchange.importedfile import ImageFacts
from metaphase.figures import Detections
from metaphase.files import real_path
from metaphase.garbage import paused_collection
from metaphase.imagefiles.dicomheader import dicom_header
from metaphase.labels.casenames import image_name, image_place, without_suffix
from metaphase.labels.dataset import Dataset
from metaphase.textfile import read_head, read_json

KINDS = ("metaphase", "csv", "coco", "qupath", "grandchallenge", "sliderunner", "dicom")
_SUFFIXES = {".csv", ".tsv", ".json", ".geojson", ".sqlite", ".db", ".dcm"}
_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class _OtherFiles:
    """Files that some formats need besides their own."""

    truth: str | Path | None
    images: str | Path | None


@paused_collection()
def read_detections(
    path: str | Path,
    *,
    mpp: float | Mapping[str, float] | None = None,
    image_size: tuple[int, int] | Mapping[str, tuple[int, int]] | None = None,
    kind: str | None = None,
    truth: str | Path | None = None,
    dataset: Dataset | None = None,
    images: str | Path | None = None,
) -> dict[str, Detections]:
    """Read detections by case id (image name without suffix) from a file or a folder.

    ``kind`` is recognised from the content: ``metaphase`` (a folder that ``metaphase detect``
    wrote, or one of its images' folders), ``csv``, ``coco``, ``qupath``, ``grandchallenge``,
    ``sliderunner``, ``dicom``. A folder of other files is read file by file. ``mpp`` (um/px) and
    ``image_size`` (width, height) are for files without them, for all images or by name;
    ``dataset`` gives those of its cases. ``truth`` is the COCO file whose image ids a bare list
    of COCO results uses. ``images`` is the folder, or a file, of the slides of DICOM annotations.
    Raises DetectionsError with everything that is wrong.
    """
    if kind is not None and kind not in KINDS:
        raise DetectionsError.of(
            path, f"unknown kind {kind!r}", way_out=f"one of {', '.join(KINDS)}"
        )
    path = Path(path)
    facts = _facts(mpp, image_size, dataset)
    others = _OtherFiles(truth, images)
    if path.is_dir():
        return _read_folder(path, kind, facts, others)
    return _read_file(path, kind or kind_of(path), facts, others)


def kind_of(path: str | Path) -> str:
    """Recognise a file by its content. Raises DetectionsError."""
    path = Path(path)
    if not path.exists():
        raise DetectionsError.of(path, "is not there", way_out="check the path")
    head = read_head(path, DetectionsError)
    if head.startswith(_SQLITE):
        return "sliderunner"
    if head[128:132] == b"DICM":
        return "dicom"
    text = _start(head)
    if text[:1] in ("{", "["):
        # The kind of GeoJSON shows without its features, which are read later.
        data = read_json(path, DetectionsError, convert={"features": lambda feature: None})
        for name, module in (
            ("qupath", qupath),
            ("coco", coco),
            ("grandchallenge", grandchallenge),
        ):
            if module.looks_like(data):
                return name
    elif csv.looks_like(text):
        return "csv"
    raise DetectionsError.of(
        path, "is not a file of detections that metaphase knows", way_out="see docs/exchange.md"
    )


def _start(head: bytes) -> str:
    """Return the first bytes of a file as text, in any of the encodings that are read."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace").lstrip()
    try:  # the last character may be cut
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return head.decode("cp1252", "replace").lstrip()
    return head.decode("utf-8-sig", "replace").lstrip()


def _facts(
    mpp: float | Mapping[str, float] | None,
    image_size: tuple[int, int] | Mapping[str, tuple[int, int]] | None,
    dataset: Dataset | None,
) -> ImageFacts:
    if dataset is not None:
        if mpp is None:
            mpp = {case.id: case.mpp for case in dataset if case.mpp}
        elif not isinstance(mpp, Mapping):
            mpp = {case.id: case.mpp or mpp for case in dataset}
        if image_size is None:
            image_size = {
                case.id: (case.width_px, case.height_px)
                for case in dataset
                if case.width_px and case.height_px
            }
    return ImageFacts(mpp, image_size)


def _read_file(
    path: Path, kind: str, facts: ImageFacts, others: _OtherFiles
) -> dict[str, Detections]:
    match kind:
        case "csv":
            return csv.read(path, facts)
        case "coco":
            return coco.read(path, facts, truth=others.truth)
        case "qupath":
            return qupath.read(path, facts)
        case "grandchallenge":
            return grandchallenge.read(path, facts)
        case "sliderunner":
            return sliderunner.read(path, facts)
        case "dicom":
            return dicom.read(path, facts, slides=others.images)
    return _load([path.parent])


def _read_folder(
    folder: Path, kind: str | None, facts: ImageFacts, others: _OtherFiles
) -> dict[str, Detections]:
    saved = saved_folders(folder)
    if saved and kind in (None, "metaphase"):
        return _load(saved, folder)
    files = sorted(path for path in folder.rglob("*") if _is_candidate(path))
    if not files:
        raise DetectionsError.of(
            folder, "holds no detections", way_out="name a file or a folder of files"
        )
    parts = []
    problems: list[Problem] = []
    for path in files:
        try:
            parts.append((path, _read_file(path, kind or kind_of(path), facts, others)))
        except DetectionsError as error:
            problems += error.problems
    if problems:
        raise DetectionsError(problems)
    return _joined(_with_folders(parts, folder))


def _with_folders(
    parts: list[tuple[Path, dict[str, Detections]]], root: Path
) -> list[tuple[Path, dict[str, Detections]]]:
    """Put folders before names that several files have, as in ``patient1/01``.

    That is for files of one image, which is named as the file.
    """
    times = Counter(name for _, by_image in parts for name in by_image)
    return [
        (
            path,
            {
                without_suffix(image_place(path, root))
                if times[name] > 1 and name == without_suffix(image_name(path))
                else name: detections
                for name, detections in by_image.items()
            },
        )
        for path, by_image in parts
    ]


def _is_candidate(path: Path) -> bool:
    """Return whether a file may hold detections; hidden files (``._a.csv`` of macOS) and the slides
    of DICOM annotations do not."""
    name = path.name.lower().removesuffix(".gz")
    if Path(name).suffix not in _SUFFIXES or name.startswith(".") or not path.is_file():
        return False
    header = dicom_header(path) if Path(name).suffix == ".dcm" else None
    return header is None or not header.is_image


def saved_folders(folder: Path) -> list[Path]:
    """Return the folders in which ``metaphase detect`` wrote the detections of an image."""
    return sorted(
        path.parent for path in folder.rglob(JSON_NAME) if (path.parent / CSV_NAME).is_file()
    )


def _load(folders: list[Path], root: Path | None = None) -> dict[str, Detections]:
    """Return the detections by the name of their folder, or its path where names repeat."""
    names = [unicodedata.normalize("NFC", real_path(folder).name) for folder in folders]
    times = Counter(names)
    parts = []
    for folder, name in zip(folders, names, strict=True):
        if root is not None and times[name] > 1:
            name = unicodedata.normalize("NFC", folder.relative_to(root).as_posix())
        parts.append((folder, {name: load_detections(folder)}))
    return _joined(parts)


def _joined(parts: Iterable[tuple[Path, dict[str, Detections]]]) -> dict[str, Detections]:
    joined: dict[str, Detections] = {}
    problems = []
    for path, by_image in parts:
        for name, detections in by_image.items():
            if name in joined:
                problems.append(
                    Problem(str(path), name, "is the second file for this image", "remove one")
                )
            joined[name] = detections
    if problems:
        raise DetectionsError(problems)
    return joined
