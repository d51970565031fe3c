"""The study of the label budget: its folds, its reader, its table and its figure."""

from __future__ import annotations

from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("torch")

from studies.budgetfigure import draw
from studies.label_budget import (
    BUDGETS,
    STRATEGIES,
    Fields,
    Simulation,
    folds_of,
    summarise,
    table,
)

from metaphase.learning.candidates import SlideCandidates
from metaphase.models.card import ScoreNormalisation, SecondStage
from metaphase.training.finetune.head import Head


def fields(slides=6, per_slide=4, per_field=30, seed=0):
    """Candidates whose first feature says what they are, 2 figures in a field."""
    rng = np.random.default_rng(seed)
    n = slides * per_slide * per_field
    field = np.repeat(np.arange(slides * per_slide), per_field)
    target = (np.arange(n) % per_field < 2).astype(float)
    features = rng.normal(0, 1, (n, 3))
    features[:, 0] += 3 * target
    score = 1 / (1 + np.exp(-(features[:, 0] - 4)))
    of_field = np.repeat(np.arange(slides), per_slide)
    figures = np.full(slides * per_slide, 2)
    names = tuple(f"S{s}" for s in range(slides))
    candidates = tuple(
        SlideCandidates(
            np.arange(per_field) * 40.0, np.zeros(per_field), score[field == f], score[field == f],
            np.zeros((per_field, 8, 8, 3), np.uint8),
            features[field == f][:, None].astype(np.float32), area_mm2=0.25,
        )
        for f in range(slides * per_slide)
    )  # fmt: skip
    return Fields(candidates, target, figures, of_field, names)


def simulation(threshold=0.9, normalisation=None):
    stage = SecondStage(id="two", weight=1.0, floor=0.0, score_normalisation=normalisation)
    card = SimpleNamespace(second_stage=stage, threshold=SimpleNamespace(value=threshold))
    model = SimpleNamespace(card=card, second_stage=object(), folder="m")
    return Simulation(fields(), model, Head(np.array([1.0, 0, 0]), -4.0))


def test_every_slide_is_tested_once():
    folds = folds_of(fields())
    assert len(folds) == 3
    assert sorted(np.concatenate(folds).tolist()) == list(range(6))
    assert [len(fold) for fold in folds] == [2, 2, 2]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_decisions_correct_a_threshold_that_is_too_high(strategy):
    rows = simulation().run(0, 0, np.array([0, 1]), strategy)
    assert [row["budget"] for row in rows] == list(BUDGETS)
    f1 = [2 * r["tp"] / (r["tp"] + r["fp"] + r["figures"]) for r in rows]
    assert f1[-1] > f1[0] + 0.1
    assert all(row["figures"] == 16 for row in rows)


def test_scores_are_normalised_as_detection_normalises_them():
    """A shift of all scores, and of the model's threshold with them, changes no count."""

    def run(reference):
        normalisation = ScoreNormalisation(per_mm2=40, reference=reference, most=50, usual=0)
        one = simulation(1 / (1 + np.exp(-reference - 6)), normalisation)
        (row,) = one.run(0, 0, np.array([0, 1]), "everything")
        return row

    low, high = run(-6.0), run(-5.0)
    logits = [np.log(row["threshold"] / (1 - row["threshold"])) for row in (low, high)]
    assert logits[1] - logits[0] == pytest.approx(1.0, abs=0.3)
    assert low["tp"] == pytest.approx(high["tp"], abs=1)
    assert low["fp"] == pytest.approx(high["fp"], abs=1)


def test_everything_is_one_row_and_runs_repeat_themselves():
    (row,) = simulation().run(0, 1, np.array([2, 3]), "everything")
    assert row["budget"] == round(0.7 * 16) * 30
    first = simulation().run(3, 0, np.array([0, 1]), "random")
    assert first == simulation().run(3, 0, np.array([0, 1]), "random")


def test_the_table_and_the_figure_show_the_gap_that_is_closed():
    rows = []
    for seed in (0, 1):
        for strategy in STRATEGIES:
            for budget, tp in zip(BUDGETS, (50, 60, 65, 70, 75, 80), strict=True):
                rows.append(one(seed, strategy, budget, tp))
        rows.append(one(seed, "everything", 999, 90))
    summary = summarise(rows)
    assert summary["bundled"] == pytest.approx(0.5)
    closed = [p["closed"] for p in summary["strategies"]["random"]]
    assert closed == pytest.approx([0, 0.25, 0.375, 0.5, 0.625, 0.75])
    lines = list(table(summary))
    assert "62%" in lines[6] or "63%" in lines[6]
    assert "gap" not in lines[-1]
    near = {**summary, "everything": {"f1": 0.51, "low": 0.48, "high": 0.54}}
    assert "%" not in "".join(table(near))
    assert list(table(near))[-1].startswith("gap 0.010: no larger than")
    root = ElementTree.fromstring(draw(summary))
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 3


def one(seed, strategy, budget, tp):
    return {
        "seed": seed, "fold": 0, "strategy": strategy, "budget": budget,
        "tp": tp, "fp": 100 - tp, "figures": 100,
    }  # fmt: skip
