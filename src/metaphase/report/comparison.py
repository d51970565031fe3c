"""Two models, sets of detections or evaluations on the same cases: scores and differences."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaphase.detectionfile import JSON_NAME
from metaphase.errors import InputError
from metaphase.evaluation.comparison import Difference
from metaphase.evaluation.scores import Scores
from metaphase.evaluation.scoresfile import is_scores, load_scores, save_scores
from metaphase.evaluation.settings import EvaluationSettings
from metaphase.exchange.foreigndetections import ForeignDetections, notes_on
from metaphase.files import real_path, write_json
from metaphase.labels.dataset import Dataset
from metaphase.models.cardfile import CARD_NAME
from metaphase.models.modelfile import Model, load_model, zoo_names
from metaphase.report.page import write_report

COMPARISON_NAME, REPORT_NAME = "comparison.json", "report.html"
DETECTIONS_FOLDER = "detections"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One side of a comparison: its name and its scores."""

    name: str
    scores: Scores


def names_of_sources(sources: Sequence[str]) -> list[str]:
    """Return short distinct names: the last part of each path, numbered if they are equal."""
    paths = [Path(source) for source in sources]
    names = [path.stem if path.is_file() else real_path(path).name for path in paths]
    if len(set(names)) == len(names):
        return names
    return [f"{name}-{number}" for number, name in enumerate(names, start=1)]


def model_of(source: str) -> Model | None:
    """Return the model that a source names, by its folder or as a bundled model; else None.

    Raises ModelFileError for a damaged model file.
    """
    path = Path(source)
    folder = path.parent if path.name == CARD_NAME else path
    if (folder / CARD_NAME).is_file() and not (folder / JSON_NAME).is_file():
        return load_model(folder)
    if not path.exists() and source in zoo_names():
        return load_model(source)
    return None


def score_source(
    source: str,
    name: str,
    dataset: Dataset,
    *,
    settings: EvaluationSettings,
    foreign: ForeignDetections,
    folder: Path,
    show: bool = True,
) -> Candidate:
    """Return the scores of a model, of detections of any kind, or of an evaluation's JSON file.

    A model first detects in the images of the cases; its detections are kept in ``folder`` by
    ``name``, and are read from there if the same model made them. Every side is scored at its own
    threshold, unless the settings have one. Raises InputError.
    """
    model = model_of(source)
    if model is not None:
        detections = _detections_of(model, dataset, folder / DETECTIONS_FOLDER / name, show)
        return Candidate(name, settings.score(detections, dataset))
    path = Path(source)
    if is_scores(path):
        return Candidate(name, load_scores(path))
    if not path.exists():
        raise InputError.of(
            source,
            "is no model, no file and no folder of detections",
            way_out=f"name one of them, or a bundled model: {', '.join(zoo_names())}",
        )
    loaded = foreign.load(path, dataset)
    return Candidate(name, settings.score(loaded, dataset, notes_on(loaded, settings.threshold)))


def write_comparison(
    candidates: Sequence[Candidate],
    differences: dict[str, Difference],
    folder: Path,
    *,
    images: Path | None = None,
    title: str = "",
    crops: int = 24,
) -> tuple[list[Path], list[str]]:
    """Write the evaluation of each side, the differences, and one report.

    Returns the files, and sentences about images that could not be read.
    """
    files = []
    for candidate in candidates:
        path = folder / f"evaluation-{candidate.name}.json"
        save_scores(candidate.scores, path)
        files.append(path)
    write_json(folder / COMPARISON_NAME, comparison_dict(candidates, differences))
    names = [candidate.name for candidate in candidates]
    problems = write_report(
        [candidate.scores for candidate in candidates],
        folder / REPORT_NAME,
        names=names,
        images=images,
        title=title or " and ".join(names),
        crops=crops,
    )
    return [*files, folder / COMPARISON_NAME, folder / REPORT_NAME], problems


def comparison_dict(
    candidates: Sequence[Candidate], differences: dict[str, Difference]
) -> dict[str, Any]:
    """Return plain values for JSON: both sides and the differences, second minus first."""
    return {
        "first": _summary(candidates[0]),
        "second": _summary(candidates[1]),
        "second_minus_first": {name: value.to_dict() for name, value in differences.items()},
    }


def _summary(candidate: Candidate) -> dict[str, Any]:
    return {"name": candidate.name, **candidate.scores.to_dict()}


def _detections_of(model: Model, dataset: Dataset, folder: Path, show: bool) -> Any:
    from metaphase.training.fit.thresholdselection import detect_cases

    missing = [case.id for case in dataset if case.image is None or not os.path.isfile(case.image)]
    if missing:
        raise InputError.of(
            dataset.source or dataset.name,
            f"{len(missing)} cases have no image for {model.card.name} to analyse: "
            f"{', '.join(missing[:3])}",
            way_out="name the folder of the images with --images",
        )
    return detect_cases(model, dataset, folder, show=show)
