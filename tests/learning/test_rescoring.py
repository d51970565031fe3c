"""The scores by a fine-tuned second stage are those that detection with it gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metaphase.detection.detect import detect
from metaphase.detectionfile import load_detections
from metaphase.figures import Detections, Label
from metaphase.learning.candidates import SlideCandidates
from metaphase.learning.loopfolder import LoopFolder
from metaphase.learning.rescoring import final_scores, new_scores, rescored, shifted
from metaphase.learning.rounds import train_round
from metaphase.learning.start import StartOptions, start_loop
from metaphase.models.card import ScoreNormalisation, SecondStage
from metaphase.models.modelfile import load_model, save_second_stage
from metaphase.provenance import Provenance
from tests.learning.conftest import candidates_at, small_model

STAGE = SecondStage(id="two", weight=0.5, symmetries=2, floor=0.2)
NORMALISATION = ScoreNormalisation(per_mm2=1000, reference=0.5, most=5, usual=0)


def logit(score):
    return np.log(score / (1 - score))


def test_a_faint_candidate_keeps_the_score_of_one_window():
    logits = np.array([[-4.0, 8.0], [1.0, 3.0]])
    first = np.array([0.5, 0.5])
    alone, both = final_scores(first, logits, STAGE)
    assert alone == pytest.approx(np.sqrt(0.5 / (1 + np.exp(4))))
    assert both == pytest.approx(np.sqrt(0.5 / (1 + np.exp(-2))))


def test_new_scores_change_the_candidates_alone():
    provenance = Provenance("a.png", 100, 100, 0.25, threshold=0.5)
    detections = Detections(
        [10, 20, 10], [10, 20, 10], [0.9, 0.8, 0.7], [0, 0, Label.HARD_NEGATIVE.code],
        provenance=provenance, atypical=[0.1, 0.2, np.nan],
    )  # fmt: skip
    logits = np.array([[5.0, 5.0]])
    after = rescored(detections, candidates_at([(20, 20)]), logits, STAGE)
    scores = {
        (x, y, c): s
        for x, y, s, c in zip(after.x_px, after.y_px, after.score, after.label, strict=True)
    }
    assert scores[10, 10, 0] == 0.9
    assert scores[10, 10, 1] == 0.7
    assert scores[20, 20, 0] == pytest.approx(np.sqrt(0.5 / (1 + np.exp(-5))), abs=1e-6)
    assert after.atypical is not None
    assert after.atypical[after.x_px == 20].tolist() == [0.2]


def normalised_candidates(others, area_mm2=0.02, shift=0.0):
    """Twelve candidates, in an area in which the 20th detection has the level."""
    points = [(i, i) for i in range(12)]
    return replace(
        candidates_at(points), shift=shift, others=np.asarray(others, float), area_mm2=area_mm2
    )


STAGE_1 = SecondStage(
    id="two", weight=1.0, symmetries=2, floor=0.0, score_normalisation=NORMALISATION
)


def test_the_level_of_a_large_image_is_that_of_the_other_detections():
    candidates = normalised_candidates(np.linspace(-3, -5, 30))
    same = logit(candidates.score)[:, None].repeat(2, axis=1)
    new = new_scores(candidates, same, STAGE_1)
    assert new.level == pytest.approx(np.linspace(-3, -5, 30)[20 - 12])
    assert new.shift == pytest.approx(0.5 - new.level, abs=1e-3)
    assert logit(new.score) == pytest.approx(same[:, 0] + new.shift, abs=1e-3)


@pytest.mark.parametrize("by", [-2.0, 0.0, 2.0])
def test_the_floor_is_one_of_normalised_scores(by):
    candidates = normalised_candidates(np.linspace(-3, -5, 30))
    candidates = replace(candidates, first=np.full(12, 0.9))
    logits = np.linspace(-6, 2, 12)[:, None] + np.array([0.0, 1.0])
    stage = STAGE_1.model_copy(update={"floor": 0.3})
    new = new_scores(candidates, logits + by, stage)
    change = logit(new.score) - logits[:, 0] - by - new.shift
    symmetric = np.isclose(change, 0.5, atol=0.01)
    assert 0 < symmetric.sum() < 12
    alone = new_scores(candidates, logits[:, :1] + by, stage)
    assert symmetric.tolist() == (alone.score >= 0.3).tolist()


def test_when_all_scores_rise_the_normalised_ones_stay():
    candidates = normalised_candidates(np.linspace(-3, -5, 30), shift=0.4)
    logits = (logit(candidates.score) - 0.4)[:, None].repeat(2, axis=1)
    before, after = (new_scores(candidates, logits + rise, STAGE_1) for rise in (0.0, 0.7))
    assert after.level == pytest.approx(before.level + 0.7, abs=1e-6)
    assert after.score == pytest.approx(before.score, abs=1e-5)


def test_an_image_too_small_for_a_level_gets_the_usual_one():
    new = new_scores(normalised_candidates([], area_mm2=0.001), np.zeros((12, 2)), STAGE_1)
    assert (new.level, new.shift) == (None, 0.5)


def test_without_normalisation_nothing_is_shifted():
    stage = STAGE_1.model_copy(update={"score_normalisation": None})
    new = new_scores(normalised_candidates([1.0]), np.zeros((12, 2)), stage)
    assert (new.level, new.shift) == (None, 0.0)
    assert new.score.tolist() == [0.5] * 12
    assert shifted(np.array([0.0, 0.25]), np.zeros(2)).tolist() == [0.0, 0.25]


def test_the_loop_of_a_model_that_normalises_shows_what_its_model_detects(tmp_path, dots, reviews):
    """Also the threshold is one of normalised scores."""
    model = small_model(tmp_path / "model")
    stage = model.card.second_stage.model_copy(update={"score_normalisation": NORMALISATION})
    model = save_second_stage(model, model.second_stage, stage)
    options = StartOptions(mpp=0.25, decisions=12, candidates=60, threads=1)
    start_loop([dots / "images"], tmp_path / "loop", str(model.folder), options)
    loop = LoopFolder(tmp_path / "loop")
    before = load_detections(loop.detections / loop.settings().images[0].name)
    assert before.provenance.parameters.score_shift not in (None, 0.0)
    result = train_round(loop, reviews)
    tuned = load_model(loop.round(1) / "model")
    kept_scores = []
    for image in loop.settings().images:
        shown = load_detections(loop.detections / image.name)
        fresh = detect(image.path, tuned, mpp=0.25)
        parameters = [d.provenance.parameters for d in (shown, fresh)]
        assert parameters[0].score_shift == pytest.approx(parameters[1].score_shift, abs=0.1)
        kept = SlideCandidates.load(loop.candidates(image.name))
        after = dict(zip(map(tuple, shown.points.tolist()), shown.score, strict=True))
        score = dict(zip(map(tuple, fresh.rounded().points.tolist()), fresh.score, strict=True))
        for point in map(tuple, kept.points.tolist()):
            assert after[point] == pytest.approx(score[point], abs=0.02)
            kept_scores.append(after[point])
    assert min(kept_scores) < result.threshold.value < max(kept_scores)
