"""metaphase: find and count mitotic figures in H&E images.

The public names below are all there is; everything else may change without notice. They are loaded
on first use, so that ``import metaphase`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metaphase.detection.detect import detect
    from metaphase.errors import MetaphaseError
    from metaphase.evaluation.evaluate import evaluate
    from metaphase.figures import Detections, Figure, Label
    from metaphase.labels.dataset import Case, Dataset
    from metaphase.labels.read import load_dataset
    from metaphase.models.modelfile import Model, load_model
    from metaphase.slides.open import open_slide
    from metaphase.slides.slide import Slide
    from metaphase.training.train import train

__version__ = "0.1.0"

__all__ = [
    "Case",
    "Dataset",
    "Detections",
    "Figure",
    "Label",
    "MetaphaseError",
    "Model",
    "Slide",
    "__version__",
    "detect",
    "evaluate",
    "load_dataset",
    "load_model",
    "open_slide",
    "train",
]

_HOMES = {
    "Case": "metaphase.labels.dataset",
    "Dataset": "metaphase.labels.dataset",
    "Detections": "metaphase.figures",
    "Figure": "metaphase.figures",
    "Label": "metaphase.figures",
    "MetaphaseError": "metaphase.errors",
    "Model": "metaphase.models.modelfile",
    "Slide": "metaphase.slides.slide",
    "detect": "metaphase.detection.detect",
    "evaluate": "metaphase.evaluation.evaluate",
    "load_dataset": "metaphase.labels.read",
    "load_model": "metaphase.models.modelfile",
    "open_slide": "metaphase.slides.open",
    "train": "metaphase.training.train",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
