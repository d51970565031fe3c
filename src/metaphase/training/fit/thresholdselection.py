"""The threshold of a finished model file: detection in cases as users run it, and the choice."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import track

from metaphase.detection.detect import detect
from metaphase.detection.runtime import open_runtime
from metaphase.detectionfile import JSON_NAME, load_detections, save_detections
from metaphase.evaluation.evaluate import Scores, evaluate
from metaphase.evaluation.thresholds import bagged_threshold, protocol_text
from metaphase.figures import Detections
from metaphase.labels.dataset import Dataset
from metaphase.models.card import Threshold
from metaphase.models.modelfile import Model
from metaphase.slides.open import open_case
from metaphase.training.recipe.recipe import Recipe


def select_threshold(
    recipe: Recipe, model: Model, cases: Dataset, folder: Path, *, show: bool = True
) -> tuple[Threshold, Scores]:
    """Detect in labelled cases, choose the threshold on them, and score at it.

    Detections are kept in ``folder``. A threshold that the recipe fixes is scored only.
    """
    validation = recipe.validation
    detections = detect_cases(model, cases, folder, min_score=validation.min_score, show=show)
    value, chosen = validation.threshold, "the recipe"
    protocol = validation.threshold_note
    if value == "chosen":
        value = bagged_threshold(detections, cases, radius_um=validation.radius_um)[0]
        chosen = f"{cases.name or 'data set'}: {len(cases)} validation cases"
        protocol = protocol_text(validation.radius_um, "midog")
    scores = evaluate(detections, cases, radius_um=validation.radius_um, threshold=value)
    return Threshold(value=value, chosen_on=chosen, protocol=protocol, f1=scores.f1), scores


def detect_cases(
    model: Model, cases: Dataset, folder: Path, *, min_score: float = 0.05, show: bool = True
) -> dict[str, Detections]:
    """Return the detections of every case, by id; those that ``folder`` has are not repeated."""
    runtime = None
    found: dict[str, Detections] = {}
    console = Console(stderr=True)
    for case in track(
        cases, description="detecting", console=console, transient=True, disable=not show
    ):
        place = folder / case.id
        if (place / JSON_NAME).is_file():
            kept = load_detections(place)
            if _same(kept, model, min_score):
                found[case.id] = kept
                continue
        runtime = runtime or open_runtime(model)
        with open_case(case) as slide:
            found[case.id] = detect(slide, model, min_score=min_score, runtime=runtime)
        save_detections(found[case.id], place)
    return found


def _same(kept: Detections, model: Model, min_score: float) -> bool:
    made = kept.provenance
    return made.model_id == model.id and made.parameters.min_score == min_score
