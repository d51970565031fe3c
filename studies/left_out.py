"""Score a recipe on slides and scanners that it was not trained on.

    METAPHASE_DATA=... python -m studies.left_out RECIPE OUT [--hold-out @crops.txt]

Trains every fold of ``studies.leftoutfolds`` (finished parts are kept, a stopped run resumes) and
detects in what was left out. Prints F1, precision, recall, average precision, false positives per
mm2 and the share of them on labelled hard negatives, the worst slides first:

- leave one slide out, by scanner; a fold's threshold is chosen on the slides of the other folds;
- leave one scanner out; the threshold is chosen on the other scanner, scored by the model that has
  seen no pixel of that one;
- the split of the ICPR 2012 contest, with test fields of the same slides as its training fields;
  the threshold is chosen on left-out slides.

``--detectors`` uses the detectors (proposals) of an earlier run: the second stage alone is trained.
``--print`` scores what is there; ``--without-normalisation`` takes the normalisation of scores back
first, which shows what it is worth. ``--model MODEL`` scores a model file on all fields, at its
frozen threshold, to compare: name only sources that it was not trained on with ``--sources``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from metaphase.detection.decode import logit, sigmoid
from metaphase.detectionfile import JSON_NAME, load_detections
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.intervals import with_intervals
from metaphase.evaluation.scores import GroupScore, Scores
from metaphase.evaluation.tables import number
from metaphase.evaluation.thresholds import bagged_threshold, choose_threshold
from metaphase.figures import Detections
from metaphase.files import write_json
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import load_model
from metaphase.training.data.heldout import exclude_crops
from metaphase.training.data.sources import region_cases
from metaphase.training.fit.thresholdselection import detect_cases
from metaphase.training.recipe.caselists import expand_lists
from metaphase.training.recipe.recipe import Recipe, load_recipe
from metaphase.training.train import train
from studies.leftoutfolds import (
    APERIO,
    CONTEST,
    FOLDS,
    NANOZOOMER,
    NO_APERIO,
    NO_NANOZOOMER,
    PAIRS,
    REGIONS,
    SLIDES,
    Fold,
    detector_slides,
    fold_recipe,
    scored_cases,
    slide_name,
)

LEFT_OUT, DETECTORS = "left-out", "detectors"
LEAVE_SCANNER_OUT = "Leave one scanner out"
BOTH_SCANNERS = f"{LEAVE_SCANNER_OUT}: both together"
CONTEST_SPLIT = "Slides not left out: the 12 test fields of the ICPR 2012 contest"
SCANNER_TITLES = {"n1": "NanoZoomer never seen", "a1": "Aperio XT never seen"}
MIN_SCORE = 0.05
_LEAST_SCORE = 1e-6
Found = dict[str, Detections]


def run_fold(
    recipe: Recipe, fold: Fold, regions: Dataset, out: Path, detectors: Path | None = None
) -> None:
    """Train a fold's detector and second stage, and detect in what it left out.

    ``detectors`` is the folder ``detectors`` of an earlier run, whose detectors are used.
    """
    if detectors is None:
        detector = fold_recipe(recipe, fold, regions, detector_slides(fold.detector))
        detector = detector.model_copy(update={"second_stage": None})
        first = train(detector, out=out / DETECTORS / fold.detector)
    else:
        first = detectors / fold.detector
    whole = fold_recipe(recipe, fold, regions, fold.slides)
    assert whole.second_stage is not None
    stage = whole.second_stage.model_copy(update={"detector": first / "model"})
    run = train(whole.model_copy(update={"second_stage": stage}), out=out / fold.name)
    model = load_model(run / "model")
    detect_cases(model, scored_cases(fold, regions), run / LEFT_OUT, min_score=MIN_SCORE)


def found_in(folder: Path, cases: Iterable[str]) -> Found:
    """Return the detections that are there, by case."""
    return {
        case_id: load_detections(folder / case_id)
        for case_id in cases
        if (folder / case_id / JSON_NAME).is_file()
    }


def without_normalisation(detections: Detections) -> Detections:
    """Return detections with the scores that they had before normalisation."""
    shift = detections.provenance.parameters.score_shift
    if not shift:
        return detections
    inside = np.clip(detections.score, _LEAST_SCORE, 1 - _LEAST_SCORE)
    return detections.with_score(sigmoid(logit(inside) - shift))


@dataclass(frozen=True)
class Folds:
    """The folder of all folds, and how their detections are scored."""

    out: Path
    regions: Dataset
    normalised: bool = True

    def found(self, fold: Fold) -> Found:
        """Return the detections in what a fold left out, as far as they are there."""
        cases = scored_cases(fold, self.regions).ids
        found = found_in(self.out / fold.name / LEFT_OUT, cases)
        if self.normalised:
            return found
        return {name: without_normalisation(one) for name, one in found.items()}


def at_chosen_threshold(found: Found, others: Found, regions: Dataset) -> Found:
    """Return detections at the threshold that is best on others."""
    threshold, _ = bagged_threshold(others, regions.select(others))
    return {name: one.with_provenance(threshold=threshold) for name, one in found.items()}


def leave_slides_out(folds: Folds) -> Found:
    """Return the detections in all left-out slides, each fold at the threshold of the others."""
    parts = {fold.name: folds.found(fold) for fold in SLIDES}
    result: Found = {}
    for name, found in parts.items():
        others = {k: v for other, part in parts.items() if other != name for k, v in part.items()}
        if found and others:
            result |= at_chosen_threshold(found, others, folds.regions)
    return result


def of_sources(found: Mapping[str, Detections], *sources: str) -> Found:
    """Return the detections in the fields of some sources."""
    return {k: v for k, v in found.items() if k.partition("/")[0] in sources}


def scored(found: Found, regions: Dataset) -> Scores:
    """Return scores with intervals by bootstrap over slides."""
    return with_intervals(evaluate(found, regions.select(found)))


def grouped_by_slide(regions: Dataset) -> Dataset:
    """Return the cases with the slide's own name as group: a slide may be in several sources."""
    return Dataset(
        (replace(case, group=slide_name(case.domain("group"))) for case in regions),
        name=regions.name,
        source=regions.source,
    )


def by_slide(found: Found, regions: Dataset) -> dict[str, GroupScore]:
    """Return the scores of each slide, all its fields together."""
    slides: dict[str, Found] = {}
    for case_id, one in found.items():
        slides.setdefault(regions[case_id].domain("group"), {})[case_id] = one
    return {slide: evaluate(part, regions.select(part)).overall for slide, part in slides.items()}


def print_scores(title: str, found: Found, regions: Dataset) -> dict[str, object]:
    """Print one protocol's table, the worst slide first; return its figures."""
    if not found:
        print(f"{title}: nothing was detected yet")
        return {}
    scores = scored(found, regions)
    rows = sorted(by_slide(found, regions).items(), key=lambda item: item[1].f1 or 0.0)
    print(f"\n### {title}\n")
    print("| slide | figures | F1 | precision | recall | FP/mm2 | of FP on hard negatives |")
    print("|---|---|---|---|---|---|---|")
    for name, group in rows:
        print(_row(name, group))
    print(_row("**all**", scores.overall))
    interval = scores.overall.intervals.get("f1")
    span = f", F1 95 % {number(interval.low)} to {number(interval.high)}" if interval else ""
    at, best = choose_threshold(found, regions.select(found))
    print(f"\nAP {number(scores.average_precision)}{span}")
    print(
        f"F1 with the threshold chosen on these fields themselves: {number(best)} at {number(at)}"
    )
    thresholds = sorted({one.provenance.threshold for one in found.values()})
    print("thresholds " + ", ".join(number(value) for value in thresholds))
    slides = {name: group.to_dict() for name, group in rows}
    return {"title": title, "thresholds": thresholds, "slides": slides, **scores.to_dict()}


def _row(name: str, group: GroupScore) -> str:
    numbers = (group.f1, group.precision, group.recall)
    rate, share = group.false_positives_per_mm2, group.share_hard_negative
    cells = [name, str(group.labelled), *(number(n) for n in numbers)]
    return "| " + " | ".join([*cells, number(rate, 1), number(share, 2)]) + " |"


def protocols(folds: Folds) -> list[tuple[str, Found]]:
    """Return the detections of each protocol, at thresholds that were chosen on other slides."""
    slides = leave_slides_out(folds)
    tables = [
        ("Leave one slide out: NanoZoomer", of_sources(slides, NANOZOOMER)),
        ("Leave one slide out: Aperio XT, all 40 fields", of_sources(slides, *APERIO)),
        ("Leave one slide out: Aperio XT, the 28 training fields", of_sources(slides, APERIO[0])),
        ("Leave one slide out: NanoZoomer fields of these slides", of_sources(slides, PAIRS)),
    ]
    for fold, other in ((NO_NANOZOOMER, NO_APERIO), (NO_APERIO, NO_NANOZOOMER)):
        found, choosing = folds.found(fold), folds.found(other)
        if found and choosing:
            found = at_chosen_threshold(found, choosing, folds.regions)
            tables.append((f"{LEAVE_SCANNER_OUT}: {SCANNER_TITLES[fold.name]}", found))
    contest = folds.found(CONTEST)
    if contest and slides:
        choosing = {k: v for fold in SLIDES for k, v in folds.found(fold).items()}
        choosing = of_sources(choosing, APERIO[0], NANOZOOMER)
        found = at_chosen_threshold(contest, choosing, folds.regions)
        tables.append((CONTEST_SPLIT, found))
    scanners = [found for title, found in tables if title.startswith(LEAVE_SCANNER_OUT)]
    if len(scanners) > 1:
        tables.append((BOTH_SCANNERS, {k: v for found in scanners for k, v in found.items()}))
    return [(title, found) for title, found in tables if found]


def threshold_of_all(folds: Folds) -> dict[str, object]:
    """Return the threshold for a model that is trained on everything.

    It is the mean of the best thresholds of left-out slides (NanoZoomer, Aperio XT) and of left-out
    scanners (the same two), so that each of these cases counts as much.
    """
    slides: Found = {}
    for fold in SLIDES:
        slides |= folds.found(fold)
    parts = [of_sources(slides, NANOZOOMER), of_sources(slides, *APERIO)]
    parts += [folds.found(NO_NANOZOOMER), folds.found(NO_APERIO)]
    values = [bagged_threshold(part, folds.regions.select(part))[0] for part in parts if part]
    if not values:
        return {}
    text = ", ".join(number(value) for value in values)
    print(f"\nBest thresholds of left-out slides and scanners: {text}")
    return {
        "threshold_of_all": round(sum(values) / len(values), 3),
        "threshold_protocol": f"mean of the best on left-out slides and scanners: {text}",
    }


def regions_of(recipe: str | Path | Recipe) -> Dataset:
    """Return the whole fields of a recipe; the slide's own name is the group."""
    return grouped_by_slide(
        region_cases(recipe if isinstance(recipe, Recipe) else load_recipe(recipe))
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--hold-out", nargs="*", default=[], help="crops that no fold learns from")
    parser.add_argument("--only", nargs="*", default=list(FOLDS), choices=list(FOLDS))
    parser.add_argument("--detectors", type=Path, help="folder with the detectors of earlier folds")
    parser.add_argument("--print", action="store_true", help="score what is there, train nothing")
    parser.add_argument("--without-normalisation", action="store_true", help="with --print")
    parser.add_argument("--model", help="score this model file at its own threshold instead")
    parser.add_argument("--sources", nargs="*", default=list(REGIONS), help="with --model")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    recipe = exclude_crops(load_recipe(given.recipe), expand_lists(given.hold_out))
    regions = regions_of(recipe)
    folds = Folds(given.out, regions, normalised=not given.without_normalisation)
    if given.model:
        cases = regions.where(lambda case: case.id.partition("/")[0] in given.sources)
        model = load_model(given.model)
        found = detect_cases(model, cases, given.out / LEFT_OUT, min_score=MIN_SCORE)
        results = [
            print_scores(f"{model.card.name}, {name}", of_sources(found, name), regions)
            for name in given.sources
        ]
    else:
        for name in () if given.print else given.only:
            run_fold(recipe, FOLDS[name], regions, given.out, given.detectors)
        tables = protocols(folds)
        results = [print_scores(title, found, regions) for title, found in tables]
    chosen = {} if given.model else threshold_of_all(folds)
    if given.json:
        write_json(given.json, {"tables": results, **chosen})


if __name__ == "__main__":
    main()
