"""The sections of a training recipe: every field with its meaning, its unit and its default.

One module a section.
"""

from __future__ import annotations

from metaphase.training.recipe.sections.atypical import Atypical
from metaphase.training.recipe.sections.augment import (
    Augment,
    Blur,
    Camera,
    Colour,
    Fourier,
    Jpeg,
    Noise,
    Scanner,
    Sharpen,
    Stain,
    StainTransfer,
    Tone,
)
from metaphase.training.recipe.sections.base import PartOfCases, RecipePath, Section
from metaphase.training.recipe.sections.data import (
    BUILT_IN_SPLITS,
    Data,
    Source,
    SplitChoice,
    SplitTable,
)
from metaphase.training.recipe.sections.network import (
    Anchors,
    CompactNetwork,
    NetworkChoice,
    RetinaNetwork,
)
from metaphase.training.recipe.sections.optimiser import Optimiser
from metaphase.training.recipe.sections.sampling import Sampling, Shares
from metaphase.training.recipe.sections.secondstage import SecondStage
from metaphase.training.recipe.sections.trainer import Trainer
from metaphase.training.recipe.sections.validation import Validation

__all__ = [
    "BUILT_IN_SPLITS",
    "Anchors",
    "Atypical",
    "Augment",
    "Blur",
    "Camera",
    "Colour",
    "CompactNetwork",
    "Data",
    "Fourier",
    "Jpeg",
    "NetworkChoice",
    "Noise",
    "Optimiser",
    "PartOfCases",
    "RecipePath",
    "RetinaNetwork",
    "Sampling",
    "Scanner",
    "SecondStage",
    "Section",
    "Shares",
    "Sharpen",
    "Source",
    "SplitChoice",
    "SplitTable",
    "Stain",
    "StainTransfer",
    "Tone",
    "Trainer",
    "Validation",
]
