"""Detections from files of any kind, by the cases of a data set."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from metaphase.errors import DetectionsError
from metaphase.evaluation.pairing import names_of
from metaphase.exchange.read import kind_of, read_detections, saved_folders
from metaphase.figures import Detections
from metaphase.labels.casenames import case_id
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Parameters, Provenance
from metaphase.slides.open import open_case
from metaphase.textfile import read_json
from metaphase.units import scanner_mpp

Fact = TypeVar("Fact")

_SHOWN = 5


def is_own(path: Path) -> bool:
    """Return whether this is a folder with detections that ``metaphase detect`` wrote."""
    return path.is_dir() and bool(saved_folders(path))


def detections_by_case(
    path: str | Path,
    dataset: Dataset,
    *,
    kind: str | None = None,
    mpp: float | None = None,
    truth: str | Path | None = None,
    empty: bool = False,
) -> dict[str, Detections]:
    """Read a file or folder of any kind and return the detections of a data set's cases.

    Images are known by case id or file name; those of no case are left out. Resolution and size
    come from the file, else from the labels, else from the case's image, else from ``mpp`` (um/px).
    ``truth`` is the COCO file whose image ids a bare list of COCO results uses. A case that the
    file does not name is left out, because most formats name an image also when nothing was found
    in it. With ``empty`` it has no detections, for formats that cannot (CSV, bare COCO results).

    Raises DetectionsError with everything that is wrong, and where no image is of any case.
    """
    path, names = Path(path), names_of(dataset)
    cases = {case.id: _completed(case) for case in dataset}
    mpp_of_case = {id_: case.mpp or scanner_mpp(case.scanner) or mpp for id_, case in cases.items()}
    sizes = {
        id_: (case.width_px, case.height_px)
        for id_, case in cases.items()
        if case.width_px and case.height_px
    }
    by_image = read_detections(
        path,
        kind=kind,
        truth=truth,
        mpp=_ByName(names, {k: v for k, v in mpp_of_case.items() if v}, default=1.0),
        image_size=_ByName(names, sizes),
    )
    by_case = _by_case(path, by_image, names)
    if not by_case:
        raise DetectionsError.of(
            path,
            f"is of no case of the labels: it names {_few(by_image)}, they {_few(dataset.ids)}",
            way_out="a file of one image is known by its own name or its folder's: the case's id",
        )
    if empty:
        by_case |= {
            id_: Detections.empty(_nothing(case, mpp_of_case[id_], path))
            for id_, case in cases.items()
            if id_ not in by_case
        }
    return by_case


def needs_truth(path: str | Path) -> bool:
    """Return whether a file is a bare list of COCO results, which names its images by number."""
    path = Path(path)
    return (
        path.is_file()
        and kind_of(path) == "coco"
        and isinstance(read_json(path, DetectionsError), list)
    )


def uses_truth(path: str | Path) -> bool:
    """Return whether reading a file or folder may use a COCO file with the names of images."""
    path = Path(path)
    return not is_own(path) if os.path.isdir(path) else needs_truth(path)


class _ByName(Mapping[str, Fact]):
    """A fact of each case, by any of its names.

    Images of no case get ``default``, so that reading goes on; they are left out afterwards.
    """

    def __init__(
        self, names: Mapping[str, str], facts: Mapping[str, Fact], default: Fact | None = None
    ) -> None:
        self._names, self._facts, self._default = names, facts, default

    def __getitem__(self, image: str) -> Fact:
        id_ = self._names.get(image, self._names.get(case_id(image)))
        if id_ is not None:
            return self._facts[id_]
        if self._default is None:
            raise KeyError(image)
        return self._default

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)


def _by_case(
    path: Path, by_image: Mapping[str, Detections], names: Mapping[str, str]
) -> dict[str, Detections]:
    """Return the detections by case. Raises DetectionsError for two images of one case."""
    by_case: dict[str, Detections] = {}
    for image, detections in by_image.items():
        id_ = _case_of(image, detections, names)
        if id_ in by_case:
            raise DetectionsError.of(
                path,
                f"is a second image of case {id_}",
                record=image,
                way_out="remove one, or name the images as the labels do",
            )
        if id_ is not None:
            by_case[id_] = detections
    return by_case


def _case_of(image: str, detections: Detections, names: Mapping[str, str]) -> str | None:
    file_name = detections.provenance.image
    for name in (image, file_name, case_id(file_name)):
        if name in names:
            return names[name]
    return None


def _completed(case: Case) -> Case:
    """Return the case with resolution and size of its image, where the labels lack them."""
    complete = case.width_px and case.height_px and (case.mpp or scanner_mpp(case.scanner))
    if complete or case.image is None or not os.path.isfile(case.image):
        return case
    with open_case(case) as slide:
        return replace(case, mpp=slide.mpp, width_px=slide.width_px, height_px=slide.height_px)


def _nothing(case: Case, mpp: float | None, path: Path) -> Provenance:
    if not mpp:
        raise DetectionsError.of(
            f"case {case.id}", "its resolution (um/px) is unknown", way_out="give it with --mpp"
        )
    return Provenance(
        image=case.image.name if case.image else case.id,
        width_px=case.width_px or 0,
        height_px=case.height_px or 0,
        mpp=mpp,
        mpp_source="labels",
        threshold=0.0,
        parameters=Parameters(read_from=path.name, not_named=True),
    )


def _few(names: Mapping[str, object] | tuple[str, ...]) -> str:
    shown = list(names)[:_SHOWN]
    return ", ".join(shown) + (", ..." if len(names) > _SHOWN else "")
