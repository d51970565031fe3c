"""Leave one group out: train without it, score on it, for every group in turn.

The threshold of a group is chosen without it. Two ways:

- ``"other-folds"`` (cross-fitting): on what the other folds' models found in *their* left-out
  groups. Every detection that chooses or is scored is of a case its model has not seen, and all
  groups but one are trained on.
- ``"inner"``: the recipe's own validation, on a part of the training groups that every fold sets
  aside.

All folds are pooled: true and false positives are added up over the left-out groups, each at the
threshold that was chosen for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from metaphase.errors import SplitError
from metaphase.evaluation.evaluate import Scores, evaluate
from metaphase.evaluation.thresholds import choose_threshold
from metaphase.figures import Detections
from metaphase.files import write_json
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import load_model
from metaphase.training.data import load_data
from metaphase.training.judge import detect_cases
from metaphase.training.recipe import Recipe
from metaphase.training.sections import SplitTable
from metaphase.training.train import MODEL_NAME, train

How = Literal["other-folds", "inner"]
RESULT_NAME = "cross-validation.json"


def cross_validate(
    recipe: Recipe,
    *,
    out: str | Path,
    by: str = "group",
    threshold: How = "other-folds",
    show: bool = True,
    tell: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Train and score one fold a group, pool them, and return what is written to ``out``.

    ``by`` is the domain that is left out: "scanner", "tumour", "laboratory", "group", ... The
    recipe's labelled cases take part, whatever its split; crops are trained on in every fold.
    Finished folds are kept: the same command goes on after an interruption. Raises SplitError
    where there are fewer than two groups.
    """
    folder = Path(out)
    regions = load_data(recipe, check=False).regions.labelled()
    groups = regions.by_domain(by)
    if len(groups) < 2:
        raise SplitError.of(
            regions.source or regions.name,
            f"has one {by} only: {', '.join(groups)}",
            way_out="leave out another kind of domain with --by",
        )
    detections: dict[str, dict[str, Detections]] = {}
    frozen: dict[str, float] = {}
    for number, (name, left_out) in enumerate(groups.items(), start=1):
        tell(f"fold {number} of {len(groups)}: without {by} {name}")
        run = train(
            _fold(recipe, regions, left_out, name, threshold), out=folder / _safe(name), show=show
        )
        model = load_model(run / MODEL_NAME)
        frozen[name] = model.card.threshold.value
        detections[name] = detect_cases(
            model,
            left_out,
            run / "left-out",
            min_score=recipe.validation.min_score,
            show=show,
        )
    if threshold == "other-folds":
        frozen = {name: _chosen_without(name, detections, regions, recipe) for name in groups}
    result = _pool(recipe, regions, groups, detections, frozen, by, threshold)
    write_json(folder / RESULT_NAME, result)
    return result


def _fold(recipe: Recipe, regions: Dataset, left_out: Dataset, name: str, how: How) -> Recipe:
    """Return the recipe of one fold. It knows nothing of the left-out group."""
    rest = [case.id for case in regions if case.id not in left_out]
    validation: list[str] = []
    if how == "inner":
        rest, validation = _set_aside(regions, rest, recipe.seed)
    split = SplitTable(training=tuple(rest), validation=tuple(validation), test=tuple(left_out.ids))
    data = recipe.data.model_copy(update={"split": split})
    trainer = recipe.trainer
    if how == "other-folds":  # nothing to judge by on the way: the last weights are the model
        trainer = trainer.model_copy(update={"keep": "last", "early_stopping": None})
    return recipe.model_copy(
        update={"name": f"{recipe.name} without {name}", "data": data, "trainer": trainer}
    )


def _set_aside(regions: Dataset, ids: list[str], seed: int) -> tuple[list[str], list[str]]:
    from metaphase.labels.splits import stratified_split

    split = stratified_split(regions.select(ids), seed=seed)
    return [*split.training, *split.test], list(split.validation)


def _chosen_without(
    name: str,
    detections: dict[str, dict[str, Detections]],
    regions: Dataset,
    recipe: Recipe,
) -> float:
    others = {k: v for fold, found in detections.items() if fold != name for k, v in found.items()}
    cases = regions.select(others)
    return choose_threshold(others, cases, radius_um=recipe.validation.radius_um)[0]


def _pool(
    recipe: Recipe,
    regions: Dataset,
    groups: dict[str, Dataset],
    detections: dict[str, dict[str, Detections]],
    frozen: dict[str, float],
    by: str,
    how: How,
) -> dict[str, Any]:
    radius_um = recipe.validation.radius_um
    at_threshold = {
        case_id: found.made_by(threshold=frozen[name])
        for name, folds in detections.items()
        for case_id, found in folds.items()
    }
    folds = {}
    for name, left_out in groups.items():
        scores = _score(left_out.ids, at_threshold, regions, radius_um)
        folds[name] = {"threshold": frozen[name], **scores.to_dict()}
    pooled = _score(at_threshold, at_threshold, regions, radius_um)
    everything = {k: v for found in detections.values() for k, v in found.items()}
    final = choose_threshold(everything, regions, radius_um=radius_um)[0]
    return {
        "recipe": recipe.name,
        "left_out": by,
        "threshold": how,
        "radius_um": radius_um,
        "pooled": pooled.to_dict(),
        "folds": folds,
        "threshold_of_all": final,
    }


def _score(
    ids: Iterable[str], detections: dict[str, Detections], regions: Dataset, radius_um: float
) -> Scores:
    chosen = {case_id: detections[case_id] for case_id in ids}
    return evaluate(chosen, regions.select(chosen), radius_um=radius_um)


def _safe(name: str) -> str:
    """Return a name for a folder."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
