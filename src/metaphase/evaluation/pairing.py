"""Which detections belong to which case."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaphase.arrays import BoolArray, FloatArray
from metaphase.boxes import as_points
from metaphase.detectionfile import JSON_NAME, load_detections
from metaphase.errors import DetectionsError, LabelError, Problem
from metaphase.figures import Detections, Label, points_of
from metaphase.labels.dataset import Case, Dataset
from metaphase.units import area_mm2


@dataclass(frozen=True, slots=True)
class Pair:
    """A labelled case with its detections.

    ``region`` x, y, width, height is the part that was analysed, in px; None: the whole image.
    """

    case: Case
    detections: Detections
    region: tuple[float, float, float, float] | None = None

    @property
    def mpp(self) -> float:
        """The resolution at which lengths are measured, um/px."""
        return self.detections.provenance.mpp

    @property
    def area_mm2(self) -> float:
        """The analysed area."""
        provenance = self.detections.provenance
        size = self.region[2:] if self.region else (provenance.width_px, provenance.height_px)
        return area_mm2(size[0], size[1], self.mpp)

    def truth(self, label: Label = Label.MITOTIC) -> FloatArray:
        """Return the points [n, 2] of a label in the analysed part, in file order."""
        points = points_of(self.case.figures, label)
        return as_points(points[self._inside(points)])

    def truth_atypical(self) -> FloatArray:
        """Return the share of readers [n] who called each mitotic figure of ``truth()`` atypical.

        NaN where the labels do not say.
        """
        shares = [f.atypical for f in self.case.figures if f.label == Label.MITOTIC]
        values = np.array([np.nan if share is None else share for share in shares])
        return values[self._inside(points_of(self.case.figures))]

    def _inside(self, points: FloatArray) -> BoolArray:
        """Return which points [n, 2] are in the analysed part."""
        if self.region is None:
            return np.ones(len(points), bool)
        x, y, width, height = self.region
        low, high = np.array([x, y]), np.array([x + width, y + height])
        return np.asarray(((points >= low) & (points <= high)).all(axis=1))


def pair_cases(
    detections: Mapping[str, Detections] | str | Path,
    dataset: Dataset,
    *,
    allow_missing: bool = False,
) -> list[Pair]:
    """Return every case of the data set with its detections, in file order.

    ``detections`` maps case ids to detections, or is a folder that ``metaphase detect`` wrote.
    Raises LabelError for unlabelled cases, because it is unknown what is in them, and
    DetectionsError for cases without detections, because a missing file does not mean that nothing
    was detected. ``allow_missing`` leaves such cases out.
    """
    _refuse_unlabelled(dataset)
    if not isinstance(detections, Mapping):
        detections = load_folder(detections, dataset)
    missing = [case.id for case in dataset if case.id not in detections]
    if missing and (not allow_missing or len(missing) == len(dataset)):
        raise DetectionsError(
            Problem(
                f"case {id_}",
                "",
                "has no detections",
                "run 'metaphase detect' on it, or allow missing cases to leave it out",
            )
            for id_ in missing
        )
    return [
        Pair(case, detections[case.id], _region(detections[case.id]))
        for case in dataset
        if case.id in detections
    ]


def load_folder(folder: str | Path, dataset: Dataset) -> dict[str, Detections]:
    """Return the detections under a folder by case id; those of other cases are left out.

    A case is recognised by its folder below ``folder``, by the file name of the image in the
    provenance or in the labels, or by that name without its extension. Two folders for one case
    raise DetectionsError.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DetectionsError.of(
            folder, "there is no such folder", way_out="name one that 'metaphase detect' wrote"
        )
    names = names_of(dataset)
    places: dict[str, Path] = {}
    loaded: dict[str, Detections] = {}
    problems = []
    for place in sorted(path.parent for path in folder.rglob(JSON_NAME)):
        detections = load_detections(place)
        case_id = _case_of(place.relative_to(folder), place.name, detections, names)
        if case_id is None:
            continue
        if case_id in places:
            message = f"case {case_id} has detections here and in {places[case_id]}"
            problems.append(Problem(str(place), "", message, "keep one of the two"))
        places[case_id], loaded[case_id] = place, detections
    if problems:
        raise DetectionsError(problems)
    return loaded


def _case_of(
    inside: Path, name: str, detections: Detections, names: Mapping[str, str]
) -> str | None:
    image = detections.provenance.image
    for candidate in (inside.as_posix(), name, image, Path(image).stem):
        composed = unicodedata.normalize("NFC", candidate)  # macOS writes names decomposed
        if composed in names:
            return names[composed]
    return None


def names_of(dataset: Dataset) -> dict[str, str]:
    """Return the case id for each name that belongs to one case only.

    Names are ids, file names of images, and both without extension, in Unicode's composed form.
    """
    names: dict[str, str] = {}
    for kind in (_ids, _file_names, _stems):
        ids_of: dict[str, set[str]] = {}
        for case in dataset:
            for name in kind(case):
                ids_of.setdefault(unicodedata.normalize("NFC", name), set()).add(case.id)
        for name, ids in ids_of.items():
            if len(ids) == 1:
                names.setdefault(name, next(iter(ids)))
    return names


def _ids(case: Case) -> Iterator[str]:
    yield case.id


def _file_names(case: Case) -> Iterator[str]:
    if case.image is not None:
        yield case.image.name
        # As detection calls the results of images of one name in several folders.
        yield f"{case.image.parent.name}_{case.image.name}"


def _stems(case: Case) -> Iterator[str]:
    yield Path(case.id).stem
    if case.image is not None:
        yield case.image.stem


def _region(detections: Detections) -> tuple[float, float, float, float] | None:
    """Return the analysed rectangle, clipped to the image; None for the whole image."""
    provenance = detections.provenance
    region = provenance.parameters.region
    if region is None:
        return None
    x, y, width, height = region
    left, top = max(x, 0.0), max(y, 0.0)
    right, bottom = min(x + width, provenance.width_px), min(y + height, provenance.height_px)
    return left, top, max(right - left, 0.0), max(bottom - top, 0.0)


def _refuse_unlabelled(dataset: Dataset) -> None:
    problems = [
        Problem(
            dataset.source or dataset.name,
            f"case {case.id}",
            "is unlabelled: it is unknown which figures it has, so it cannot be scored",
            "leave it out: with --split, --labelled-only, or Dataset.labelled()",
        )
        for case in dataset
        if not case.labelled
    ]
    if problems:
        raise LabelError(problems)
    if not len(dataset):
        raise LabelError.of(dataset.source or dataset.name or "data set", "has no cases to score")
