"""The paragraph that lets somebody else repeat the evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from metaphase import __version__
from metaphase.evaluation.scores import Scores

RULES = {
    "midog": (
        "one-to-one by the rule of the MIDOG challenges: each labelled figure, in the order of the "
        "label file, takes the nearest detection that no earlier one has taken"
    ),
    "greedy": (
        "one-to-one by score: each detection, by falling score, takes the nearest labelled figure "
        "that is still free"
    ),
    "optimal": "by the largest possible one-to-one assignment, and of those the nearest",
    "many-to-many": (
        "many-to-many: a figure is found when any detection is near it, a detection is false when "
        "no figure is near it"
    ),
}


def methods(models: Sequence[Scores], names: Sequence[str]) -> list[str]:
    """Return the methods as sentences, a list of one paragraph a topic."""
    first = models[0]
    return [
        _data(first),
        _models(models, names),
        _matching(first),
        _numbers(first),
        *_intervals(first),
    ]


def _data(scores: Scores) -> str:
    overall = scores.overall
    kinds = ", ".join(
        f"{len(groups)} {by}{'s' if len(groups) != 1 else ''}"
        for by, groups in scores.domains.items()
        if by in ("scanner", "tumour")
    )
    return (
        f"Detections were scored on {overall.cases} cases of {scores.dataset or 'the data set'} "
        f"({overall.area_mm2:.4g} mm\N{SUPERSCRIPT TWO}, {overall.labelled} labelled mitotic "
        f"figures{', ' + kinds if kinds else ''}). Whole regions were looked at; no place was "
        "chosen by the labels."
    )


def _models(models: Sequence[Scores], names: Sequence[str]) -> str:
    told = []
    for scores, name in zip(models, names, strict=True):
        ids = ", ".join(id_[:12] for id_ in scores.model_ids) or "unknown"
        if scores.threshold is None:
            at = "the threshold of each case's own model"
        else:
            at = f"a threshold of {scores.threshold:.6g}"
        told.append(f"{name} (model id {ids}) was scored at {at}")
    return "; ".join(told) + ". The threshold is a model's frozen one unless another was asked for."


def _matching(scores: Scores) -> str:
    return (
        f"A detection can be a figure's if it lies within {scores.radius_um:g} \N{MICRO SIGN}m of "
        f"its point (inclusive), at the resolution of each case. They were matched "
        f"{RULES[scores.rule]}. Labels of hard negatives are no targets; they tell what false "
        "positives lie on."
    )


def _numbers(scores: Scores) -> str:
    return (
        "True positives, false positives and misses were added over all cases before precision, "
        "recall and F1 were computed; what is 0/0 has no value. Average precision is the area "
        "under the interpolated precision-recall curve, every threshold matched anew, without "
        "extrapolation below the lowest score told. FROC counts false positives per "
        "mm\N{SUPERSCRIPT TWO} of image. Count agreement is predicted minus labelled figures a "
        "case, with 95 % limits of agreement (Bland and Altman). Calibration is the expected "
        "calibration error over ten bins of equal width, of all detections."
    )


def _intervals(scores: Scores) -> list[str]:
    found = next(iter(scores.overall.intervals.values()), None)
    if found is None:
        return [f"Computed with metaphase {__version__}."]
    kind = {"bca": "bias-corrected and accelerated", "percentile": "percentile"}
    return [
        f"Intervals are 95 % {kind.get(found.method, found.method)} bootstrap intervals over "
        f"{found.units} independent cases or groups of cases ({found.resamples} resamples, "
        f"stratified by domain). Computed with metaphase {__version__}."
    ]
