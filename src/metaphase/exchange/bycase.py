"""Other people's detections, brought to the cases of a data set: what ``evaluate`` re-scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from metaphase.detectionfile import JSON_NAME
from metaphase.errors import DetectionsError
from metaphase.evaluation.pairing import names_of
from metaphase.exchange.foreign import load_json
from metaphase.exchange.read import kind_of, read_detections
from metaphase.figures import Detections
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.reading import case_id
from metaphase.provenance import Parameters, Provenance
from metaphase.slides.open import open_case
from metaphase.units import scanner_mpp

Fact = TypeVar("Fact")

_SHOWN = 5


def is_own(path: str | Path) -> bool:
    """Tell whether this is a folder with detections that ``metaphase detect`` wrote."""
    path = Path(path)
    return path.is_dir() and any(
        (found.parent / "detections.csv").is_file() for found in path.rglob(JSON_NAME)
    )


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
    file does not name stays away, because most formats say so when nothing was found; with
    ``empty`` it has no detections, for formats that cannot (CSV of others, bare COCO results).

    Raises DetectionsError with everything that is wrong, and where no image is of any case.
    """
    path, names = Path(path), names_of(dataset)
    cases = {case.id: _completed(case) for case in dataset}
    known_mpp = {id_: case.mpp or scanner_mpp(case.scanner) or mpp for id_, case in cases.items()}
    sizes = {
        id_: (case.width_px, case.height_px)
        for id_, case in cases.items()
        if case.width_px and case.height_px
    }
    found = read_detections(
        path,
        kind=kind,
        truth=truth,
        mpp=_ByName(names, {k: v for k, v in known_mpp.items() if v}, stranger=1.0),
        image_size=_ByName(names, sizes),
    )
    ours = {
        id_: detections
        for image, detections in found.items()
        if (id_ := _case_of(image, detections, names)) is not None
    }
    if not ours:
        raise DetectionsError.of(
            path,
            f"is of no case of the labels: it names {_few(found)}, they {_few(dataset.ids)}",
            way_out="a file of one image is known by its own name or its folder's: the case's id",
        )
    if empty:
        ours |= {
            id_: Detections.empty(_nothing(case, known_mpp[id_], path))
            for id_, case in cases.items()
            if id_ not in ours
        }
    return ours


def needs_truth(path: str | Path) -> bool:
    """Tell whether a file is a bare list of COCO results, which names its images by number."""
    path = Path(path)
    return path.is_file() and kind_of(path) == "coco" and isinstance(load_json(path), list)


class _ByName(Mapping[str, Fact]):
    """What is known of cases, by any of their names; images of no case have the ``stranger``'s,
    so that reading goes on. They are left out afterwards."""

    def __init__(
        self, names: Mapping[str, str], facts: Mapping[str, Fact], stranger: Fact | None = None
    ) -> None:
        self._names, self._facts, self._stranger = names, facts, stranger

    def __getitem__(self, image: str) -> Fact:
        id_ = self._names.get(image, self._names.get(case_id(image)))
        if id_ is not None:
            return self._facts[id_]
        if self._stranger is None:
            raise KeyError(image)
        return self._stranger

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)


def _case_of(image: str, detections: Detections, names: Mapping[str, str]) -> str | None:
    told = detections.provenance.image
    for name in (image, told, case_id(told)):
        if name in names:
            return names[name]
    return None


def _completed(case: Case) -> Case:
    """Return the case with resolution and size of its image, where the labels lack them."""
    known = case.width_px and case.height_px and (case.mpp or scanner_mpp(case.scanner))
    if known or case.image is None or not case.image.is_file():
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
