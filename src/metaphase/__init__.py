"""metaphase: find and count mitotic figures in H&E images.

The public names below are the API; everything else may change without notice. They are imported on
first use, so that ``import metaphase`` takes no time.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as of typing, whose import takes time in which Ctrl-C shows a traceback
if TYPE_CHECKING:
    from typing import Any

    from metaphase.counting.analysedregion import AnalysedRegion
    from metaphase.counting.count import MitoticCount
    from metaphase.counting.countslide import count
    from metaphase.counting.interval import Validation
    from metaphase.detection.batch import Outcome
    from metaphase.detection.detect import detect
    from metaphase.detection.detectimages import detect_images
    from metaphase.detection.runtime import Runtime, open_runtime
    from metaphase.detectionfile import load_detections, save_detections
    from metaphase.errors import (
        DetectionsError,
        InputError,
        InterruptedRunError,
        LabelError,
        MetaphaseError,
        MissingExtraError,
        ModelFileError,
        Problem,
        RecipeError,
        SlideError,
        SplitError,
        UnknownMppError,
    )
    from metaphase.evaluation.evaluate import evaluate
    from metaphase.evaluation.scores import Scores
    from metaphase.evaluation.scoresfile import load_scores, save_scores
    from metaphase.exchange.convert import convert
    from metaphase.exchange.read import read_detections
    from metaphase.figures import Detections, Figure, Label
    from metaphase.labels.dataset import Case, Dataset
    from metaphase.labels.read import load_dataset
    from metaphase.labels.sample import write_sample
    from metaphase.labels.split import Split, load_split, save_split
    from metaphase.models.modelfile import Model, load_model
    from metaphase.provenance import Provenance
    from metaphase.slides.open import open_slide
    from metaphase.slides.slide import Slide
    from metaphase.training.recipe.recipe import Recipe, load_recipe
    from metaphase.training.train import train

__version__ = "0.1.0"

__all__ = [
    "AnalysedRegion",
    "Case",
    "Dataset",
    "Detections",
    "DetectionsError",
    "Figure",
    "InputError",
    "InterruptedRunError",
    "Label",
    "LabelError",
    "MetaphaseError",
    "MissingExtraError",
    "MitoticCount",
    "Model",
    "ModelFileError",
    "Outcome",
    "Problem",
    "Provenance",
    "Recipe",
    "RecipeError",
    "Runtime",
    "Scores",
    "Slide",
    "SlideError",
    "Split",
    "SplitError",
    "UnknownMppError",
    "Validation",
    "__version__",
    "convert",
    "count",
    "detect",
    "detect_images",
    "evaluate",
    "load_dataset",
    "load_detections",
    "load_model",
    "load_recipe",
    "load_scores",
    "load_split",
    "open_runtime",
    "open_slide",
    "read_detections",
    "save_detections",
    "save_scores",
    "save_split",
    "train",
    "write_sample",
]

_HOMES = {
    "AnalysedRegion": "counting.analysedregion",
    "Case": "labels.dataset",
    "Dataset": "labels.dataset",
    "Detections": "figures",
    "DetectionsError": "errors",
    "Figure": "figures",
    "InputError": "errors",
    "InterruptedRunError": "errors",
    "Label": "figures",
    "LabelError": "errors",
    "MetaphaseError": "errors",
    "MissingExtraError": "errors",
    "MitoticCount": "counting.count",
    "Model": "models.modelfile",
    "ModelFileError": "errors",
    "Outcome": "detection.batch",
    "Problem": "errors",
    "Provenance": "provenance",
    "Recipe": "training.recipe.recipe",
    "RecipeError": "errors",
    "Runtime": "detection.runtime",
    "Scores": "evaluation.scores",
    "Slide": "slides.slide",
    "SlideError": "errors",
    "Split": "labels.split",
    "SplitError": "errors",
    "UnknownMppError": "errors",
    "Validation": "counting.interval",
    "convert": "exchange.convert",
    "count": "counting.countslide",
    "detect": "detection.detect",
    "detect_images": "detection.detectimages",
    "evaluate": "evaluation.evaluate",
    "load_dataset": "labels.read",
    "load_detections": "detectionfile",
    "load_model": "models.modelfile",
    "load_recipe": "training.recipe.recipe",
    "load_scores": "evaluation.scoresfile",
    "load_split": "labels.split",
    "open_runtime": "detection.runtime",
    "open_slide": "slides.open",
    "read_detections": "exchange.read",
    "save_detections": "detectionfile",
    "save_scores": "evaluation.scoresfile",
    "save_split": "labels.split",
    "train": "training.train",
    "write_sample": "labels.sample",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"metaphase.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
