"""Small trainings on synthetic images, each with one setting of the exercise.

Two detectors: the compact one, and torchvision's RetinaNet with a body of ten layers and 64
channels (no pretrained weights), because the original cannot be trained on two cores in reasonable
time. Everything else of the RetinaNet is the package's code: anchors, losses, head, resize (400 px
for tiles of 256, which corresponds to the exercise's 800 for 512).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from metaphase.phantom.dataset import make_phantom
from metaphase.training.recipe.recipe import Recipe, parse_recipe

CASES, SIDE_PX = 10, 640
PER_MM2, MIMICS_PER_MM2 = 280.0, 400.0
TRAIN, VALIDATE = 6, 2  # of each scanner's ten cases; the last two are a test on known scanners
EPOCHS, PATCHES = 6, 480
SEEN, UNSEEN, UNLABELLED = ("Synthetic A", "Synthetic B"), "Synthetic C", "Synthetic D"
NEGATIVE_LABELS = "unlabelled-as-negative.json"
NARROW = 64


@dataclass(frozen=True)
class Variant:
    """A training with some settings changed; ``against`` is the variant without the trap."""

    name: str
    trap: str
    against: str = ""
    retina: bool = False
    change: dict[str, Any] = field(default_factory=dict)
    unlabelled: bool = False


_EXERCISE_ANCHORS = [[4, 5, 6], [8, 10, 12], [16, 20, 25], [32, 40, 50], [64, 80, 101]]

VARIANTS = (
    Variant("compact", "the compact detector, put right"),
    Variant(
        "rate-per-epoch",
        "schedule planned over steps, moved once an epoch",
        "compact",
        change={"optimiser.schedule_step": "epoch"},
    ),
    Variant(
        "no-hard-negatives",
        "hard negatives never sought, weighted as any background",
        "compact",
        change={
            "sampling.shares": {"mitotic": 0.4, "hard_negative": 0.0, "random": 0.6},
            "network.hard_negative_weight": 1.0,
        },
    ),
    Variant(
        "unlabelled-as-negatives",
        f"{CASES} unlabelled images in the training list, read as empty",
        "compact",
        unlabelled=True,
    ),
    Variant(
        "corner-in-the-centre",
        "every figure's corner in the middle of its patch, no turns",
        "compact",
        change={"sampling.offset": "corner-at-centre", "augment.symmetries": False},
    ),
    Variant(
        "last-epoch",
        "last epoch kept instead of the best",
        "compact",
        change={"trainer.keep": "last"},
    ),
    Variant("retina", "the RetinaNet, put right", retina=True),
    Variant(
        "retina-plain-head",
        "a plain head over v2's: no GroupNorm, no GIoU",
        "retina",
        retina=True,
        change={"network.head": "plain"},
    ),
    Variant(
        "retina-anchors",
        "anchors of 4 to 101 px, each size at its own stride",
        "retina",
        retina=True,
        change={"network.anchors": _EXERCISE_ANCHORS, "network.aspect_ratios": [0.5, 1.0, 2.0]},
    ),
    Variant(
        "retina-anchors-resize",
        "the same anchors, and the hidden resize by 1.56",
        "retina",
        retina=True,
        change={
            "network.anchors": _EXERCISE_ANCHORS,
            "network.aspect_ratios": [0.5, 1.0, 2.0],
            "network.resize": "torchvision",
        },
    ),
)


def make_data(folder: Path) -> Path:
    """Make the synthetic cases once, and labels that pass unlabelled images off as empty."""
    labels = folder / "MIDOG.json"
    if not labels.is_file():
        make_phantom(
            folder,
            seed=2026,
            cases_per_scanner=CASES,
            size_px=SIDE_PX,
            mitotic_per_mm2=PER_MM2,
            hard_negative_per_mm2=MIMICS_PER_MM2,
        )
    data = json.loads(labels.read_text(encoding="utf-8"))
    for image in data["images"]:
        image["labelled"] = True
    (folder / NEGATIVE_LABELS).write_text(json.dumps(data), encoding="utf-8")
    return labels


def split_of(folder: Path) -> dict[str, list[str]]:
    """Return the case ids: trained on, validated on, tested on known and on unseen scanners."""
    from metaphase.labels.read import load_dataset

    by = load_dataset(folder / "MIDOG.json").by_domain("scanner")
    parts: dict[str, list[str]] = {"training": [], "validation": [], "seen": []}
    for scanner in SEEN:
        ids = list(by[scanner].ids)
        parts["training"] += ids[:TRAIN]
        parts["validation"] += ids[TRAIN : TRAIN + VALIDATE]
        parts["seen"] += ids[TRAIN + VALIDATE :]
    parts["unseen"] = list(by[UNSEEN].ids)
    parts["unlabelled"] = list(by[UNLABELLED].ids)
    return parts


def recipe_of(variant: Variant, seed: int, data: Path) -> Recipe:
    """Return the recipe of a variant on the synthetic cases."""
    parts = split_of(data)
    training = parts["training"] + (parts["unlabelled"] if variant.unlabelled else [])
    labels = data / (NEGATIVE_LABELS if variant.unlabelled else "MIDOG.json")
    table: dict[str, Any] = {
        "name": variant.name,
        "seed": seed,
        "data": {
            "sources": [{"labels": str(labels), "images": str(data / "images")}],
            "split": {"training": training, "validation": parts["validation"]},
        },
        "network": _RETINA if variant.retina else _COMPACT,
        "sampling": {"patch_px": 128 if variant.retina else 96, "patches_per_epoch": PATCHES},
        "optimiser": {"learning_rate": 1e-3 if variant.retina else 2e-3, "warmup": 0.15},
        "trainer": {
            "epochs": 2 * EPOCHS if variant.retina else EPOCHS,
            "batch_size": 16,
            "precision": "fp32",
            "workers": 0,
            "ema": 0.95,
            "validate_every": 2,
            "accelerator": "cpu",
        },
        "validation": {"min_score": 0.02},
    }
    table = json.loads(json.dumps(table))
    for path, value in variant.change.items():
        section, key = path.split(".")
        table.setdefault(section, {})[key] = value
    return parse_recipe(table)


_COMPACT = {"kind": "compact", "width": 48, "trainable_backbone_layers": 3, "tile_px": 256}
_RETINA = {
    "kind": "retinanet_resnet50_fpn_v2",
    "weights": "none",
    "trainable_backbone_layers": 5,
    "tile_px": 256,
}


@contextmanager
def narrow_retina() -> Iterator[None]:
    """Let the RetinaNet have a body of ten layers and narrow layers, while this is open."""
    from torchvision.models.resnet import BasicBlock, ResNet

    from metaphase.models.networks import retinanet as module

    wide = module.BackboneWithFPN, module.RetinaNetHead, module.RetinaNetRegressionHead
    backbone, head, regression = wide
    extra = module.LastLevelP6P7

    def body(weights: Any = None) -> Any:
        return ResNet(BasicBlock, [1, 1, 1, 1])

    def pyramid(body: Any, layers: Any, inputs: Any, out: int, extra_blocks: Any) -> Any:
        narrow = [channels // 4 for channels in inputs]  # basic blocks do not widen by four
        return backbone(body, layers, narrow, NARROW, extra_blocks=extra_blocks)

    with (
        patch.object(module, "resnet50", body),
        patch.object(module, "BackboneWithFPN", pyramid),
        patch.object(module, "LastLevelP6P7", lambda inputs, out: extra(inputs // 4, NARROW)),
        patch.object(module, "RetinaNetHead", lambda _, *args, **more: head(NARROW, *args, **more)),
        patch.object(
            module,
            "RetinaNetRegressionHead",
            lambda _, *args, **more: regression(NARROW, *args, **more),
        ),
        patch.object(module, "_HIDDEN_SIZE", 400),
    ):
        yield
