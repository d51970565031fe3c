"""The methods section: everything needed to repeat the evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from metaphase import __version__
from metaphase.evaluation.scores import Scores

RULES = {
    "midog": (
        "one-to-one by the rule of the MIDOG challenges: each labelled figure, in the order of the "
        "label file, is matched with the nearest detection that is not matched with an earlier one"
    ),
    "greedy": (
        "one-to-one by score: each detection, by falling score, is matched with the nearest "
        "unmatched figure"
    ),
    "optimal": "by the largest one-to-one assignment with the least total distance",
    "many-to-many": (
        "many-to-many: a figure is detected if any detection is near it, a detection is false if "
        "no figure is near it"
    ),
}


def methods(models: Sequence[Scores], names: Sequence[str]) -> list[str]:
    """Return the methods, one paragraph for each topic."""
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
        f"figures{', ' + kinds if kinds else ''}). Whole regions were analysed; no position "
        "was chosen by the labels."
    )


def _models(models: Sequence[Scores], names: Sequence[str]) -> str:
    sentences = []
    for scores, name in zip(models, names, strict=True):
        ids = ", ".join(id_[:12] for id_ in scores.model_ids) or "unknown"
        if scores.threshold is None:
            at = "the thresholds of its detections, which differ between cases"
        else:
            at = f"a threshold of {scores.threshold:.6g}"
        sentences.append(f"{name} (model id {ids}) was scored at {at}")
    text = "; ".join(sentences)
    return f"{text}. By default the threshold is the one stored in the model."


def _matching(scores: Scores) -> str:
    return (
        f"A detection can be matched with a figure if it lies within {scores.radius_um:g} "
        "\N{MICRO SIGN}m of its point (inclusive), at the resolution of each case. Matching was "
        f"{RULES[scores.rule]}. Labels of hard negatives are not targets; they classify false "
        "positives."
    )


def _numbers(scores: Scores) -> str:
    return (
        "True positives, false positives and misses were added over all cases before precision, "
        "recall and F1 were computed; a ratio of 0/0 is undefined. Average precision is the area "
        "under the interpolated precision-recall curve, matched again at every threshold, without "
        "extrapolation below the lowest score. FROC counts false positives per "
        "mm\N{SUPERSCRIPT TWO} of image. Count agreement is predicted minus labelled figures per "
        "case, with 95 % limits of agreement (Bland and Altman). Calibration is the expected "
        "calibration error over ten bins of equal width, of all detections."
    )


def _intervals(scores: Scores) -> list[str]:
    interval = next(iter(scores.overall.intervals.values()), None)
    if interval is None:
        return [f"Computed with metaphase {__version__}."]
    kind = {"bca": "bias-corrected and accelerated", "percentile": "percentile"}
    return [
        f"Intervals are 95 % {kind.get(interval.method, interval.method)} bootstrap intervals over "
        f"{interval.units} independent cases or groups of cases ({interval.resamples} resamples, "
        f"stratified by domain). Computed with metaphase {__version__}."
    ]
