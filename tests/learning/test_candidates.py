"""The candidates of an image: kept, read back, and scored as detection scores them."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.detection.detect import detect
from metaphase.detectionfile import load_detections
from metaphase.errors import InputError, ModelFileError
from metaphase.figures import Label
from metaphase.learning.candidates import SlideCandidates, second_stage_of
from metaphase.learning.rescoring import final_scores
from metaphase.models.modelfile import load_model, save_model
from metaphase.training.finetune.features import head_of
from metaphase.training.finetune.finetunedmodel import load_window_network
from tests.learning.conftest import candidates_at
from tests.training.finetune.networks import small_network


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


def test_detections_that_are_no_candidates_keep_their_logits(begun):
    image = begun.settings().images[0]
    kept = SlideCandidates.load(begun.candidates(image.name))
    found = load_detections(begun.detections / image.name).with_label(Label.MITOTIC)
    assert len(kept) + len(kept.others) == len(found)
    score = np.clip(found.score[len(kept) :], 1e-6, 1 - 1e-6)
    assert kept.others == pytest.approx(np.log(score / (1 - score)), abs=1e-6)
    side = found.provenance.width_px * found.provenance.mpp / 1000
    assert 0 < kept.area_mm2 <= side**2 + 1e-9


def test_candidates_of_version_0_1_are_read(tmp_path):
    path = tmp_path / "a.npz"
    candidates_at([(1, 2), (3, 4)]).save(path)
    with np.load(path) as archive:
        old = {k: archive[k] for k in archive.files if k not in ("shift", "others", "area_mm2")}
    np.savez(path, **old)
    again = SlideCandidates.load(path)
    assert (len(again), again.shift, len(again.others), again.area_mm2) == (2, 0.0, 0, 0.0)


def test_they_are_read_back_and_damage_is_named(tmp_path):
    one = candidates_at([(1, 2), (3, 4)])
    one.save(tmp_path / "deep" / "a.npz")
    again = SlideCandidates.load(tmp_path / "deep" / "a.npz")
    assert again.points.tolist() == [[1, 2], [3, 4]]
    assert again.windows.dtype == np.uint8
    (tmp_path / "deep" / "a.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match=r"a\.npz"):
        SlideCandidates.load(tmp_path / "deep" / "a.npz")


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
        ("shift", lambda a: a * np.nan),
        ("others", lambda a: np.zeros((2, 2))),
        ("others", lambda a: np.array([np.inf])),
        ("area_mm2", lambda a: a - 1),
        ("area_mm2", lambda a: np.zeros(3)),
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
