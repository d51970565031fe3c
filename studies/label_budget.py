"""How many decisions does a model need for a new scanner? With a simulated reader.

    python -m studies.label_budget MODEL OUT --labels LABELS --images IMAGES [--detections FOUND]

MODEL must not have been trained on these images. Candidates, windows and features of every field
are kept in OUT/candidates; with ``--detections``, what ``metaphase detect`` found is used. The
reader knows the labels: a proposed candidate that matches a labelled figure (one to one within
7.5 um) is confirmed, every other one is rejected.

Slides are shared out to folds. In each, the reader reviews fields of the other slides, and the
model is scored on the slides of the fold. A seed draws the part ``SHARE`` of the fields that the
laboratory has. After every batch the head is fitted and the threshold chosen as
``metaphase learn train`` does it. Compared are candidates by information, at random and by score,
the model as it is, and the same training with the labels of all candidates. Printed are F1 (pooled
over the folds, mean of the seeds, lowest and highest) and how much of the gap is closed between the
model as it is and the training on everything. ``OUT/label_budget.svg`` shows it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.arrays import BoolArray, FloatArray, IntArray
from metaphase.detection.decode import sigmoid
from metaphase.detection.detect import detect
from metaphase.detection.runtime import open_runtime
from metaphase.detection.secondstage import CandidateClassifier, combined_score
from metaphase.detectionfile import load_detections
from metaphase.figures import Label
from metaphase.files import read_text, write_json, write_text
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.read import load_dataset
from metaphase.learning.candidates import (
    SlideCandidates,
    second_stage_of,
    slide_candidates,
)
from metaphase.learning.rescoring import NewScores, new_scores, shifted
from metaphase.learning.slidereview import SlideReview, targets_of
from metaphase.learning.start import second_stage_features
from metaphase.models.card import SecondStage
from metaphase.models.modelfile import Model, load_model
from metaphase.slides.open import open_case
from metaphase.slides.slidestain import slide_stain
from metaphase.training.finetune.crossvalidation import cross_validate, parts_of
from metaphase.training.finetune.expectedf1 import (
    EarlierThreshold,
    ScoredCandidates,
    choose_threshold,
    lowest_threshold,
)
from metaphase.training.finetune.features import head_of
from metaphase.training.finetune.finetunedmodel import load_window_network
from metaphase.training.finetune.head import Head, Prior, fit_head
from metaphase.training.finetune.selection import most_informative
from metaphase.training.finetune.tuning import PRECISION
from studies.budgetfigure import draw

BUDGETS = (0, 25, 50, 100, 200, 400)
STRATEGIES = ("information", "random", "score")
SHARE = 0.7
FOLDS = 3
MOST = 200
"""Candidates of a field that are kept."""


@dataclass(frozen=True, eq=False)
class Fields:
    """The candidates of each field, their true targets [n], and the labelled figures and the number
    of the slide of each field [fields]."""

    candidates: tuple[SlideCandidates, ...]
    target: FloatArray
    figures: IntArray
    slide_of_field: IntArray
    slides: tuple[str, ...]

    @cached_property
    def field(self) -> IntArray:
        """The number of the field of each candidate [n]."""
        return np.repeat(np.arange(len(self.candidates)), [len(one) for one in self.candidates])

    @cached_property
    def slide(self) -> IntArray:
        """The number of the slide of each candidate [n]."""
        return self.slide_of_field[self.field]

    @cached_property
    def features(self) -> FloatArray:
        """The features of the candidates [n, d]."""
        return np.concatenate([one.mean_features for one in self.candidates])

    @cached_property
    def first(self) -> FloatArray:
        """The scores of the detector [n]."""
        return np.concatenate([one.first for one in self.candidates])

    @cached_property
    def score(self) -> FloatArray:
        """The final scores by the model as it is [n]."""
        return np.concatenate([one.score for one in self.candidates])


def main() -> None:
    """Run the study."""
    given = _arguments()
    model = load_model(given.model)
    dataset = load_dataset(given.labels, images=given.images).labelled()
    fields = load_fields(model, dataset, given.out / "candidates", given.detections)
    runs = given.out / "runs.json"
    rows = _finished(runs, model)
    done = {(row["seed"], row["fold"], row["strategy"]) for row in rows}
    head = head_of(load_window_network(second_stage_of(model)[0]))
    simulation = Simulation(fields, model, head)
    for seed in range(given.seeds):
        for number, fold in enumerate(folds_of(fields)):
            for strategy in (*STRATEGIES, "everything"):
                if (seed, number, strategy) not in done:
                    new = simulation.run(seed, number, fold, strategy)
                    rows += new
                    write_json(runs, {"model_id": model.id, "rows": rows})
                    print(new[-1], flush=True)
    summary = summarise(rows)
    print(*table(summary), sep="\n")
    write_json(given.out / "label_budget.json", summary)
    write_text(given.out / "label_budget.svg", draw(summary))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a model file that was not trained on the images")
    parser.add_argument("out", type=Path)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--detections", type=Path, help="results of the model, by case id")
    parser.add_argument("--seeds", type=int, default=5)
    return parser.parse_args()


def _finished(path: Path, model: Model) -> list[dict[str, Any]]:
    """Return the runs that an interrupted study has finished."""
    if not path.is_file():
        return []
    kept = json.loads(read_text(path))
    if kept["model_id"] != model.id:
        raise SystemExit(f"{path.parent} is a study of another model: name another folder")
    return list(kept["rows"])


# --- candidates


def load_fields(model: Model, dataset: Dataset, folder: Path, detections: Path | None) -> Fields:
    """Return the candidates of all fields; those that ``folder`` has are not computed again."""
    parts: list[tuple[SlideCandidates, FloatArray, Case, int]] = []
    for case in dataset:
        path = folder / f"{case.id}.npz"
        if not path.is_file():
            _find(model, case, detections).save(path)
        candidates = SlideCandidates.load(path)
        with open_case(case) as slide:
            target = targets_of(candidates, SlideReview.of_case(case), slide.mpp).target
        parts.append((candidates, target, case, case.count(Label.MITOTIC)))
    names = tuple(sorted({case.domain("group") for _, _, case, _ in parts}))
    return Fields(
        tuple(candidates for candidates, *_ in parts),
        np.concatenate([target for _, target, *_ in parts]),
        np.array([figures for *_, figures in parts]),
        np.array([names.index(case.domain("group")) for _, _, case, _ in parts]),
        names,
    )


def _find(model: Model, case: Case, detections: Path | None) -> SlideCandidates:
    second, stage = second_stage_of(model)
    if stage.weight != 1:
        raise SystemExit("this study is for models whose second stage decides alone (weight 1)")
    with open_case(case) as slide:
        stain = None if stage.stain is None else slide_stain(slide)
        runtime = open_runtime(second, threads=1)
        found = load_detections(detections / case.id) if detections else detect(slide, model)
        classifier = CandidateClassifier(slide, stage, second, runtime, stain)
        box = (0.0, 0.0, float(slide.width_px), float(slide.height_px))
        return slide_candidates(found, found, classifier, second_stage_features(model), MOST, box)


# --- the simulated reader


def folds_of(fields: Fields) -> list[IntArray]:
    """Return the slides of each fold: by falling number of figures, always to the smallest."""
    slides = range(len(fields.slides))
    figures = np.array([fields.figures[fields.slide_of_field == s].sum() for s in slides])
    folds: list[list[int]] = [[] for _ in range(FOLDS)]
    for slide in np.argsort(-figures, kind="stable"):
        least = min(folds, key=lambda fold: (figures[fold].sum(), len(fold)))
        least.append(int(slide))
    return [np.array(sorted(fold)) for fold in folds]


class Simulation:
    """Reviews of candidates by a reader who knows the labels."""

    def __init__(self, fields: Fields, model: Model, head: Head) -> None:
        self.fields, self.head = fields, head
        self.stage: SecondStage = second_stage_of(model)[1]
        self.threshold = model.card.threshold.value
        self.shown = [one.features.astype(np.float64) for one in fields.candidates]

    def run(self, seed: int, number: int, fold: IntArray, strategy: str) -> list[dict[str, Any]]:
        """Return the counts on the slides of a fold after every budget."""
        fields = self.fields
        rng = np.random.default_rng([seed, number])
        others = np.flatnonzero(~np.isin(fields.slide_of_field, fold))
        kept = rng.choice(others, max(1, round(SHARE * len(others))), replace=False)
        pool = np.flatnonzero(np.isin(fields.field, kept))
        known = {"seed": seed, "fold": number, "strategy": strategy}
        if strategy == "everything":
            counts = self._learn(pool, np.ones(len(pool), bool), fold)
            return [{**known, "budget": len(pool), **counts}]
        decided = np.zeros(len(pool), bool)
        rows = []
        for budget in BUDGETS:
            chosen = self._choose(pool, decided, budget - int(decided.sum()), strategy, rng)
            decided[chosen] = True
            counts = self._learn(pool, decided, fold) if budget else self._as_it_is(fold)
            rows.append({**known, "budget": budget, **counts})
        return rows

    def _prior(self, pool: IntArray) -> Prior:
        return Prior.of(self.head, self.fields.features[pool], PRECISION)

    def _choose(
        self, pool: IntArray, decided: BoolArray, count: int, strategy: str, rng: Any
    ) -> IntArray:
        """Return which candidates of the pool to review next."""
        if count <= 0:
            return np.array([], np.int64)
        fields, open_ = self.fields, np.flatnonzero(~decided)
        if strategy == "random":
            return np.asarray(rng.choice(open_, min(count, len(open_)), replace=False))
        if strategy == "score":
            return open_[np.argsort(-fields.score[pool][open_], kind="stable")[:count]]
        posterior = fit_head(
            self._prior(pool), fields.features[pool][decided], fields.target[pool][decided]
        )
        return most_informative(
            posterior, fields.features[pool], count, open_=~decided, slide=fields.slide[pool]
        )

    def _learn(self, pool: IntArray, decided: BoolArray, fold: IntArray) -> dict[str, Any]:
        """Fit and choose the threshold with the decisions; return the counts on a fold."""
        fields = self.fields
        target = np.where(decided, fields.target[pool], np.nan)
        slide = fields.slide[pool]
        validated = cross_validate(
            self._prior(pool), fields.features[pool], target, parts_of(slide, decided)
        )
        posterior = validated.posterior
        new = [self._new_scores(posterior.score_head, number) for number in range(len(self.shown))]
        shift = np.array([one.shift for one in new])
        score = combined_score(fields.first[pool], sigmoid(validated.score_logits), self.stage)
        score = shifted(score, shift[fields.field[pool]])
        probability = np.where(decided, target, sigmoid(validated.probability_logits))
        _, place = np.unique(slide, return_inverse=True)
        missed = np.zeros(place.max() + 1)
        candidates = ScoredCandidates(score, probability, place, missed)
        lowest = lowest_threshold(score, decided, self.threshold)
        earlier = EarlierThreshold(self.threshold, float(np.nansum(target)))
        chosen = choose_threshold(candidates, lowest=lowest, earlier=earlier)
        rows = np.flatnonzero(np.isin(fields.slide, fold))
        final = np.concatenate([one.score for one in new])[rows]
        return {
            **self._counts(rows, final, chosen.value, fold),
            "threshold": chosen.value,
            "precision": posterior.prior.precision,
            "confirmed": int(np.nansum(target)),
        }

    def _new_scores(self, head: Head, number: int) -> NewScores:
        """Return the scores of the candidates of a field by a head, as detection gives them."""
        candidates = self.fields.candidates[number]
        return new_scores(candidates, head.logits(self.shown[number]), self.stage)

    def _as_it_is(self, fold: IntArray) -> dict[str, Any]:
        rows = np.flatnonzero(np.isin(self.fields.slide, fold))
        score = self.fields.score[rows]
        return {**self._counts(rows, score, self.threshold, fold), "threshold": self.threshold}

    def _counts(
        self, rows: IntArray, score: FloatArray, threshold: float, fold: IntArray
    ) -> dict[str, int]:
        found = score >= threshold
        target = self.fields.target[rows]
        figures = self.fields.figures[np.isin(self.fields.slide_of_field, fold)].sum()
        order = np.argsort(-score, kind="stable")
        tp = np.cumsum(target[order])
        best = float((2 * tp / (np.arange(1, len(rows) + 1) + figures)).max())
        return {
            "tp": int(target[found].sum()),
            "fp": int(found.sum() - target[found].sum()),
            "figures": int(figures),
            "best_f1": best,  # type: ignore[dict-item]
        }


# --- results


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return F1 by strategy and budget: mean, lowest and highest of the seeds; the gap closed."""
    f1: dict[str, dict[int, list[float]]] = {}
    for strategy in (*STRATEGIES, "everything"):
        for seed in sorted({row["seed"] for row in rows}):
            mine = [r for r in rows if (r["strategy"], r["seed"]) == (strategy, seed)]
            for budget in BUDGETS if strategy != "everything" else (-1,):
                part = [r for r in mine if budget in (-1, r["budget"])]
                if part:
                    f1.setdefault(strategy, {}).setdefault(budget, []).append(_f1(part))
    bundled = float(np.mean(f1[STRATEGIES[0]][0]))
    everything = float(np.mean(f1["everything"][-1]))
    gap = everything - bundled
    return {
        "bundled": bundled,
        "everything": _spread(f1["everything"][-1]),
        "strategies": {
            name: [
                {"budget": budget, **_spread(values),
                 "closed": (float(np.mean(values)) - bundled) / gap if gap else None}
                for budget, values in f1[name].items()
            ]
            for name in STRATEGIES
        },
    }  # fmt: skip


def _f1(rows: Sequence[dict[str, Any]]) -> float:
    tp, fp, figures = (sum(row[name] for row in rows) for name in ("tp", "fp", "figures"))
    return 2 * tp / (tp + fp + figures)


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"f1": float(np.mean(values)), "low": min(values), "high": max(values)}


def table(summary: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a Markdown table: F1, and the part of the gap that is closed.

    The part is left out where the gap is no larger than half the spread of the seeds.
    """
    one = summary["everything"]
    gap, spread = one["f1"] - summary["bundled"], (one["high"] - one["low"]) / 2
    yield "| decisions | " + " | ".join(f"by {name}" for name in STRATEGIES) + " |"
    yield "|---" * (len(STRATEGIES) + 1) + "|"
    for number, budget in enumerate(BUDGETS):
        cells = []
        for name in STRATEGIES:
            row = summary["strategies"][name][number]
            closed = f", {row['closed']:.0%}" if budget and gap > spread else ""
            cells.append(f"{row['f1']:.3f} ({row['low']:.3f} to {row['high']:.3f}){closed}")
        yield f"| {budget} | " + " | ".join(cells) + " |"
    yield f"\nall labels: {one['f1']:.3f} ({one['low']:.3f} to {one['high']:.3f})"
    if gap <= spread:
        yield f"gap {gap:.3f}: no larger than half the spread of the seeds, {spread:.3f}"


if __name__ == "__main__":
    main()
