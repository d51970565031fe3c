"""The door: anybody's detections, whatever file they came in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from metaphase.detectionfile import JSON_NAME, load_detections
from metaphase.errors import DetectionsError, Problem
from metaphase.exchange import coco, csv, dicom, grandchallenge, qupath, sliderunner
from metaphase.exchange.foreign import Known, image_name, load_json
from metaphase.figures import Detections
from metaphase.files import open_regular
from metaphase.labels.dataset import Dataset

KINDS = ("metaphase", "csv", "coco", "qupath", "grandchallenge", "sliderunner", "dicom")
_ENDINGS = {".csv", ".tsv", ".json", ".geojson", ".sqlite", ".db", ".dcm"}
_TEXT = 4096


def read_detections(
    path: str | Path,
    *,
    mpp: float | Mapping[str, float] | None = None,
    image_size: tuple[int, int] | Mapping[str, tuple[int, int]] | None = None,
    kind: str | None = None,
    truth: str | Path | None = None,
    dataset: Dataset | None = None,
) -> dict[str, Detections]:
    """Read detections by image name without ending, so by case id, from a file or a folder.

    ``kind`` is recognised from the content: ``metaphase`` (a folder that ``metaphase detect``
    wrote, or one of its images' folders), ``csv``, ``coco``, ``qupath``, ``grandchallenge``,
    ``sliderunner``, ``dicom``. A folder of other files is read file by file. ``mpp`` (um/px) and
    ``image_size`` (width, height) are for files that do not tell them, for all images or by name;
    ``dataset`` fills in those of its cases. ``truth`` is the COCO file whose image ids a bare list
    of COCO results uses. Raises DetectionsError with everything that is wrong.
    """
    if kind is not None and kind not in KINDS:
        raise DetectionsError.of(
            path, f"unknown kind {kind!r}", way_out=f"one of {', '.join(KINDS)}"
        )
    path = Path(path)
    known = _known(mpp, image_size, dataset)
    if path.is_dir():
        return _folder(path, kind, known, truth)
    if not path.is_file():
        raise DetectionsError.of(path, "is not there", way_out="check the path")
    return _file(path, kind or kind_of(path), known, truth)


def kind_of(path: Path) -> str:
    """Recognise a file by its content. Raises DetectionsError."""
    try:
        if sliderunner.looks_like(path):
            return "sliderunner"
        if dicom.looks_like(path):
            return "dicom"
        with open_regular(path) as stream:
            head = stream.read(_TEXT).decode("utf-8-sig", "replace").lstrip()
    except OSError as error:
        raise DetectionsError.of(path, f"cannot be read: {error.strerror}") from error
    if head[:1] in ("{", "["):
        data = load_json(path)
        for name, module in (
            ("qupath", qupath),
            ("coco", coco),
            ("grandchallenge", grandchallenge),
        ):
            if module.looks_like(data):
                return name
    elif csv.looks_like(head):
        return "csv"
    raise DetectionsError.of(
        path, "is not a file of detections that metaphase knows", way_out="see docs/exchange.md"
    )


def _known(
    mpp: float | Mapping[str, float] | None,
    image_size: tuple[int, int] | Mapping[str, tuple[int, int]] | None,
    dataset: Dataset | None,
) -> Known:
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
    return Known(mpp, image_size)


def _file(path: Path, kind: str, known: Known, truth: str | Path | None) -> dict[str, Detections]:
    match kind:
        case "csv":
            return csv.read(path, known)
        case "coco":
            return coco.read(path, known, truth=truth)
        case "qupath":
            return qupath.read(path, known)
        case "grandchallenge":
            return grandchallenge.read(path, known)
        case "sliderunner":
            return sliderunner.read(path, known)
        case "dicom":
            return dicom.read(path, known)
    return _metaphase([path.parent])


def _folder(
    folder: Path, kind: str | None, known: Known, truth: str | Path | None
) -> dict[str, Detections]:
    ours = sorted(path.parent for path in folder.rglob(JSON_NAME) if _ours(path))
    if ours and kind in (None, "metaphase"):
        return _metaphase(ours)
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in _ENDINGS)
    if not files:
        raise DetectionsError.of(
            folder, "holds no detections", way_out="name a file or a folder of files"
        )
    parts = []
    problems: list[Problem] = []
    for path in files:
        try:
            parts.append((path, _file(path, kind or kind_of(path), known, truth)))
        except DetectionsError as error:
            problems += error.problems
    if problems:
        raise DetectionsError(problems)
    return _joined(parts)


def _ours(path: Path) -> bool:
    return (path.parent / "detections.csv").is_file()


def _metaphase(folders: Iterable[Path]) -> dict[str, Detections]:
    return _joined(
        [(folder, {folder.resolve().name: load_detections(folder)}) for folder in folders]
    )


def _joined(parts: Iterable[tuple[Path, dict[str, Detections]]]) -> dict[str, Detections]:
    found: dict[str, Detections] = {}
    problems = []
    for path, some in parts:
        for name, detections in some.items():
            if name in found:
                problems.append(
                    Problem(str(path), name, "is the second file for this image", "remove one")
                )
            found[name] = detections
    if problems:
        raise DetectionsError(problems)
    return found


__all__ = ["KINDS", "image_name", "kind_of", "read_detections"]
