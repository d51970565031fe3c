"""Scores of atypical figures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from metaphase.evaluation.atypical import (
    RATES,
    AtypicalRows,
    atypical_score,
    atypical_scores,
    auroc,
)
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.scoresfile import load_scores, save_scores
from metaphase.evaluation.settings import EvaluationSettings
from metaphase.evaluation.tables import print_scores
from metaphase.figures import Detections, Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Provenance
from metaphase.report.page import write_report

figures = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])), max_size=30
)


def rows(truth, score, threshold=0.5, group=None, domain=None):
    truth, score = np.array(truth, bool), np.array(score, float)
    group = group or [str(i) for i in range(len(truth))]
    return AtypicalRows(truth, score, score >= threshold, group, domain or ["x"] * len(truth))


@given(figures)
def test_auroc_is_the_share_of_pairs_in_order(values) -> None:
    truth = np.array([t for t, _ in values], bool)
    score = np.array([s for _, s in values], float)
    positive, negative = score[truth], score[~truth]
    if not len(positive) or not len(negative):
        assert auroc(truth, score) is None
        return
    pairs = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    assert auroc(truth, score) == pytest.approx(pairs.mean())


def test_rates() -> None:
    score = atypical_score(rows([1, 1, 1, 0, 0], [0.9, 0.8, 0.1, 0.7, 0.2]))
    assert (score.tp, score.fn, score.tn, score.fp) == (2, 1, 1, 1)
    assert score.sensitivity == pytest.approx(2 / 3)
    assert score.specificity == pytest.approx(1 / 2)
    assert score.balanced_accuracy == pytest.approx(7 / 12)
    assert atypical_score(rows([0, 0], [0.1, 0.9])).balanced_accuracy is None


def test_the_worst_scanner_is_first_and_every_rate_has_an_interval() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random(400) < 0.4
    domain = ["good" if i % 2 else "bad" for i in range(400)]
    noise = np.where([d == "bad" for d in domain], 0.6, 0.2)
    score = (truth + noise * rng.normal(size=400)).clip(0, 1)
    group = [f"{i // 8}{d}" for i, d in enumerate(domain)]
    scores = atypical_scores(rows(truth, score, group=group, domain=domain), resamples=300)
    assert list(scores.domains) == ["bad", "good"]
    for one in (scores.overall, *scores.domains.values()):
        assert set(one.intervals) == set(RATES)
        for name in RATES:
            interval = one.intervals[name]
            assert interval.low <= getattr(one, name) <= interval.high, name
    again = atypical_scores(rows(truth, score, group=group, domain=domain), resamples=300)
    assert again == scores


@pytest.fixture
def scored():
    def case(name, scanner):
        marks = (("1", 10, 1.0), ("2", 60, 0.0), ("3", 110, None), ("4", 160, 1.0))
        labels = tuple(Figure(i, x, 50, Label.MITOTIC, atypical=a) for i, x, a in marks)
        return Case(name, mpp=0.25, scanner=scanner, figures=labels)

    dataset = Dataset([case("a", "A"), case("b", "B")])
    provenance = Provenance(
        "a.png", 400, 100, 0.25, threshold=0.5, parameters={"atypical": {"threshold": 0.3}}
    )
    found = Detections(
        [10, 60, 110, 300],
        [50] * 4,
        [0.9, 0.8, 0.7, 0.6],
        provenance=provenance,
        atypical=[0.35, 0.1, 0.9, 0.9],
    )
    other = found.with_atypical([0.2, 0.1, 0.9, 0.9])
    return {"a": found, "b": other}, dataset


def test_detected_figures_with_a_label_are_scored(scored) -> None:
    """Not the missed one, not the one whose label says nothing, not the false positive."""
    detections, dataset = scored
    result = evaluate(detections, dataset).atypical
    assert result is not None
    overall = result.overall
    assert (overall.tp, overall.fn, overall.tn, overall.fp) == (1, 1, 2, 0)
    assert list(result.domains) == ["B", "A"]
    assert (
        evaluate({k: d.with_atypical(None) for k, d in detections.items()}, dataset).atypical
        is None
    )


def test_they_are_saved_with_their_intervals(scored, tmp_path) -> None:
    scores = EvaluationSettings(resamples=50).score(*scored)
    save_scores(scores, tmp_path / "scores.json")
    again = load_scores(tmp_path / "scores.json")
    assert again.atypical == scores.atypical
    assert again.to_dict() == scores.to_dict()


def test_they_are_printed_and_reported(scored, tmp_path) -> None:
    scores = EvaluationSettings(resamples=50).score(*scored)
    text = io.StringIO()
    print_scores(scores, Console(file=text, width=160))
    lines = text.getvalue().splitlines()
    at = next(i for i, line in enumerate(lines) if "worst first" in line)
    names = [line.split()[0] for line in lines[at:] if line.split() and line.split()[0] in "BA all"]
    assert names[:3] == ["B", "A", "all"]
    write_report([scores], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Atypical figures among the detected ones" in page
    assert "<td>all</td><td>4</td><td>2</td><td>0.750</td>" in page
