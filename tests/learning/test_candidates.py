"""The candidates of an image: kept, read back, and scored as detection scores them."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.detection.detect import detect
from metaphase.detectionfile import load_detections
from metaphase.errors import InputError, ModelFileError
from metaphase.figures import Detections, Label
from metaphase.learning.candidates import (
    SlideCandidates,
    final_scores,
    rescored,
    second_stage_of,
)
from metaphase.models.card import SecondStage
from metaphase.models.modelfile import load_model, save_model
from metaphase.provenance import Provenance
from metaphase.training.finetune.features import head_of
from metaphase.training.finetune.finetunedmodel import load_window_network
from tests.learning.conftest import candidates_at
from tests.training.finetune.networks import small_network

STAGE = SecondStage(id="two", weight=0.5, symmetries=2, floor=0.2)


def test_the_detections_are_those_of_detect(begun, model):
    image = begun.settings().images[0]
    expected = detect(image.path, model, mpp=0.25)
    assert load_detections(begun.detections / image.name) == expected.rounded()


def test_features_give_the_scores_of_detection(begun, model):
    image = begun.settings().images[0]
    candidates = SlideCandidates.load(begun.candidates(image.name))
    second, stage = second_stage_of(model)
    head = head_of(load_window_network(second))
    logits = head.logits(candidates.features.astype(float))
    assert final_scores(candidates.first, logits, stage) == pytest.approx(
        candidates.score, abs=1e-4
    )
    assert (np.diff(candidates.score) <= 0).all()


def test_they_are_read_back_and_damage_is_named(tmp_path):
    one = candidates_at([(1, 2), (3, 4)])
    one.save(tmp_path / "deep" / "a.npz")
    again = SlideCandidates.load(tmp_path / "deep" / "a.npz")
    assert again.points.tolist() == [[1, 2], [3, 4]]
    assert again.windows.dtype == np.uint8
    (tmp_path / "deep" / "a.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match=r"a\.npz"):
        SlideCandidates.load(tmp_path / "deep" / "a.npz")


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
        provenance=provenance,
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


def test_a_model_without_a_second_stage_is_refused(model, tmp_path):
    from metaphase.training.fit.card import network_card
    from tests.training.helpers import make_recipe

    network = small_network()
    save_model(tmp_path, network_card(make_recipe(), network), weights=network.state_dict())
    with pytest.raises(ModelFileError, match="no second stage"):
        second_stage_of(load_model(tmp_path))


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("x_px", lambda a: a[:-1]),
        ("y_px", lambda a: a[:, None]),
        ("score", lambda a: a * np.nan),
        ("first", lambda a: a.astype(str)),
        ("windows", lambda a: a[..., :2]),
        ("windows", lambda a: a.astype(np.float32)),
        ("features", lambda a: a[:, 0]),
    ],
)
def test_columns_of_another_form_are_refused(tmp_path, name, changed):
    path = tmp_path / "a.npz"
    candidates_at([(1, 2), (3, 4)]).save(path)
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays[name] = changed(arrays[name])
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=r"a\.npz: cannot be read"):
        SlideCandidates.load(path)
