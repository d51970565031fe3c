"""The second stage: windows, symmetries and what becomes of the scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from metaphase.detection import pipeline, secondstage
from metaphase.detection.decode import logit, sigmoid
from metaphase.detection.detect import detect
from metaphase.detection.runtime import Runtime
from metaphase.detection.secondstage import CandidateClassifier, read_window, rescore, turn
from metaphase.figures import Detections, Label
from metaphase.models.card import (
    HeadSpec,
    Level,
    ScoreNormalisation,
    SecondStage,
    StainReference,
)
from metaphase.models.modelfile import Model
from metaphase.provenance import Provenance
from metaphase.slides.array import ArraySlide
from metaphase.slides.mpp import MppHints
from metaphase.slides.slidestain import slide_stain
from metaphase.stain.macenko import Macenko
from tests.detection.scenes import DotRuntime, DotSlide, make_card, make_model

LOOK = SecondStage(id="two", min_score=0.2, weight=0.5, symmetries=4, floor=0.0)


class DarkRuntime(Runtime):
    """The darker the middle of a window, the higher its logit."""

    name = "dark"

    def __init__(self):
        self.windows = []

    def run(self, tiles):
        self.windows.append(tiles)
        middle = tiles[:, 40:56, 40:56].mean(axis=(1, 2, 3))
        return [((128 - middle) / 32).astype(np.float32).reshape(-1, 1, 1, 1)]


def second_model():
    head = HeadSpec(kind="window", levels=(Level(stride=96),))
    return Model(make_card(network="window", head=head, mpp=1 / 6, tile=96), Path("two"), "two")


def classifier(slide, runtime=None, **changes):
    look = LOOK.model_copy(update=changes)
    return CandidateClassifier(slide, look, second_model(), runtime or DarkRuntime())


def seconds(slide, points, **changes):
    """What the second network makes of places that the detector is sure of."""
    points = np.asarray(points, float).reshape(-1, 2)
    return classifier(slide, **changes).scores(points, np.ones(len(points)))


def found(points, scores, labels=None):
    x, y = np.asarray(points, float).T
    made = Provenance(image="dots.tif", width_px=400, height_px=300, mpp=0.25)
    return Detections(x, y, scores, labels, provenance=made)


@given(x=st.floats(-20, 420), y=st.floats(-20, 320))
def test_a_window_is_what_the_slide_shows_and_mirrored_beyond_it(x, y):
    slide = DotSlide(400, 300, 0.25, np.mgrid[10:400:30, 10:300:30].reshape(2, -1).T)
    x, y = min(max(x, 0), 400), min(max(y, 0), 300)
    window = read_window(slide, x, y, 96, 1 / 6)
    assert window.shape == (96, 96, 3)
    plain = slide.read(x - 32, y - 32, 96, 96, 1 / 6)
    inside = np.ones((96, 96), bool)
    inside[:, : int(np.ceil(max(0, 32 - x) * 1.5))] = False
    inside[: int(np.ceil(max(0, 32 - y) * 1.5))] = False
    inside[:, 96 - int(np.ceil(max(0, x - 368) * 1.5)) :] = False
    inside[96 - int(np.ceil(max(0, y - 268) * 1.5)) :] = False
    assert np.array_equal(window[inside], plain[inside])


def test_a_window_at_the_border_shows_tissue_on_both_sides_of_it():
    slide = DotSlide(400, 300, 0.25, [(4, 150)])
    window = read_window(slide, 0, 150, 96, 1 / 6)
    assert np.array_equal(window[:, :48][:, ::-1], window[:, 48:])
    assert (window < 255).any()


@pytest.mark.parametrize(("mpp", "step"), [(1 / 6, 1), (0.165, 1), (1 / 12, 2)])
def test_windows_near_the_networks_resolution_are_not_interpolated(mpp, step):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    slide = ArraySlide(pixels, Path("noise.png"), MppHints(user=mpp))
    runtime = DarkRuntime()
    classifier(slide, runtime, symmetries=1).scores(np.array([(200.3, 150.4)]), np.ones(1))
    left, top = round(200.3 - 48 * step), round(150.4 - 48 * step)
    part = pixels[top : top + 96 * step, left : left + 96 * step].astype(float)
    mean = part.reshape(96, step, 96, step, 3).mean(axis=(1, 3))
    assert np.abs(runtime.windows[0][0] - mean).max() < 0.6


def test_the_eight_turns_are_the_eight_symmetries_of_a_square():
    window = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    turns = [turn(window, n) for n in range(8)]
    for n, turned in enumerate(turns):
        assert sorted(turned[0].ravel()) == sorted(window[0].ravel())
        assert not any(np.array_equal(turned, other) for other in turns[:n])
    assert np.array_equal(turns[0], window)


def test_scores_are_the_geometric_mean_and_faint_candidates_are_left_out():
    slide = DotSlide(400, 300, 0.25, [(100, 100)])
    first = found([(100, 100), (200, 200), (300, 100)], [0.9, 0.64, 0.19])
    after = rescore(first, classifier(slide))
    other = seconds(slide, [(100, 100)], symmetries=1)
    assert len(after) == 2
    assert after.points.tolist() == [[100, 100], [200, 200]]
    assert after.score[0] == pytest.approx(np.sqrt(0.9 * other[0]), abs=1e-4)
    white = sigmoid(np.array([-127 / 32]))[0]
    assert after.score[1] == pytest.approx(np.sqrt(0.64 * white), abs=1e-4)
    assert after.provenance == first.provenance


def test_a_weight_of_zero_keeps_and_of_one_replaces_the_score():
    slide = DotSlide(400, 300, 0.25, [(100, 100)])
    first = found([(100, 100)], [0.7])
    assert rescore(first, classifier(slide, weight=0.0)).score.tolist() == [0.7]
    replaced = rescore(first, classifier(slide, weight=1.0))
    assert replaced.score == pytest.approx(seconds(slide, first.points), abs=1e-4)


def test_hard_negatives_stay_as_they_are():
    slide = DotSlide(400, 300, 0.25, [])
    labels = [Label.HARD_NEGATIVE.code, Label.MITOTIC.code]
    first = found([(50, 50), (90, 90)], [0.1, 0.5], labels)
    after = rescore(first, classifier(slide))
    kept = after.with_label(Label.HARD_NEGATIVE)
    assert kept.score.tolist() == [0.1]


def test_every_symmetry_is_scored_and_no_candidates_are_no_work():
    slide = DotSlide(400, 300, 0.25, [(100, 100)])
    runtime = DarkRuntime()
    points = np.array([(105.0, 98.0)] * 20)
    classifier(slide, runtime, symmetries=8).scores(points, np.ones(20))
    windows = np.concatenate(runtime.windows)
    assert len(windows) == 8 * 20
    assert {len(np.unique(turned, axis=0)) for turned in windows.reshape(8, 20, 96, 96, 3)} == {1}
    assert len(np.unique(windows, axis=0)) == 8
    idle = DarkRuntime()
    assert len(classifier(slide, idle).scores(np.zeros((0, 2)), np.zeros(0))) == 0
    assert idle.windows == []


class LeftRuntime(DarkRuntime):
    """Sees the left half of a window alone, so that symmetries give different logits."""

    def run(self, tiles):
        self.windows.append(tiles)
        dark = (220 - tiles[:, :, :48].mean(axis=(1, 2, 3))) / 8
        return [dark.astype(np.float32).reshape(-1, 1, 1, 1)]


def test_an_improbable_candidate_gets_one_window():
    slide = DotSlide(400, 300, 0.25, [(100, 100), (95, 100)])
    points = np.array([(300.0, 200.0), (110.0, 100.0), (300.0, 100.0)])
    runtime = LeftRuntime()
    first = np.array([0.9, 0.9, 0.3])
    cascade = classifier(slide, runtime, floor=0.2).scores(points, first)
    assert sum(len(windows) for windows in runtime.windows) == 4 + 4  # 3 filled up, 3 symmetries
    once, all_four = (
        classifier(slide, LeftRuntime(), symmetries=n).scores(points, first) for n in (1, 4)
    )
    assert cascade[[0, 2]].tolist() == once[[0, 2]].tolist()
    assert cascade[1] == all_four[1]
    assert once[1] != all_four[1]


class ShiftedRuntime(LeftRuntime):
    """Another scanner: all logits are higher by a number."""

    def __init__(self, by):
        super().__init__()
        self.by = by

    def run(self, tiles):
        return [super().run(tiles)[0] + np.float32(self.by)]


NORMALISATION = ScoreNormalisation(per_mm2=3000, reference=-4.0, most=3.0, usual=-4.0)


@given(by=st.floats(-2, 2))
@settings(max_examples=15, deadline=None)
def test_where_all_scores_are_lower_the_same_candidates_are_seen_in_all_symmetries(by):
    slide = DotSlide(400, 300, 0.25, [(100, 100), (200, 150), (300, 90)])
    points = np.random.default_rng(4).uniform(40, 260, (60, 2))
    first = np.full(60, 0.9)
    how = {"weight": 1.0, "floor": 0.05, "score_normalisation": NORMALISATION}
    usual = classifier(slide, LeftRuntime(), **how).scores(points, first)
    other = classifier(slide, ShiftedRuntime(by), **how).scores(points, first)
    one = classifier(slide, LeftRuntime(), symmetries=1).scores(points, first)
    assert 3 < (usual != one).sum() < 30
    assert logit(other) == pytest.approx(logit(usual) + by, abs=1e-3)


def test_without_a_level_the_floor_is_that_of_the_usual_level():
    slide = DotSlide(400, 300, 0.25, [(100, 100), (95, 100)])
    points, first = np.array([(110.0, 100.0)]), np.ones(1)
    once, all_four = (
        classifier(slide, LeftRuntime(), symmetries=n, weight=1.0).scores(points, first)
        for n in (1, 4)
    )
    for shift, expected in ((0.5, all_four), (-0.5, once)):
        normal = NORMALISATION.model_copy(update={"usual": -4.0 - shift})
        how = {"floor": float(once[0]), "weight": 1.0, "score_normalisation": normal}
        assert classifier(slide, LeftRuntime(), **how).scores(points, first) == expected


def test_many_promising_candidates_are_scored_in_parts(monkeypatch):
    slide = DotSlide(400, 300, 0.25, [(100, 100), (200, 150)])
    points, first = np.random.default_rng(4).uniform(40, 260, (50, 2)), np.ones(50)
    whole = classifier(slide, LeftRuntime()).scores(points, first)
    monkeypatch.setattr(secondstage, "_WINDOWS_AT_ONCE", 7)
    monkeypatch.setattr(secondstage, "_WINDOWS_IN_MEMORY", 20)
    np.testing.assert_array_equal(classifier(slide, LeftRuntime()).scores(points, first), whole)


@given(parts=st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_without_normalisation_a_score_does_not_depend_on_the_other_candidates(parts):
    slide = DotSlide(400, 300, 0.25, [(100, 100), (200, 150)])
    rng = np.random.default_rng(sum(parts))
    points, first = rng.uniform(60, 240, (sum(parts), 2)), rng.uniform(0.2, 1, sum(parts))
    whole = classifier(slide, LeftRuntime(), floor=0.1).scores(points, first)
    cuts = np.cumsum(parts)[:-1]
    apart = [
        classifier(slide, LeftRuntime(), floor=0.1).scores(p, f)
        for p, f in zip(np.split(points, cuts), np.split(first, cuts), strict=True)
    ]
    np.testing.assert_array_equal(np.concatenate(apart), whole)


def test_known_second_scores_are_not_computed_again():
    slide = DotSlide(400, 300, 0.25, [(100, 100)])
    first = found([(100, 100), (200, 200)], [0.9, 0.64])
    runtime = DarkRuntime()
    seen = np.array([(100, 100, 0.9, 0.4), (200, 200, 0.7, 0.4)])  # the second: another score
    after = rescore(first, classifier(slide, runtime), seen)
    assert after.score[0] == pytest.approx(np.sqrt(0.9 * 0.4), abs=1e-4)
    assert after.score[1] == rescore(first, classifier(slide)).score[1]
    assert sum(len(windows) for windows in runtime.windows) == 4 + 4  # of one place alone


WANTED = StainReference(vectors=((0.65, 0.70, 0.29), (0.10, 0.99, 0.11)), amounts=(2.0, 1.0))


@pytest.fixture(scope="module")
def stained_slide():
    """A slide of 0.25 mm2, of two stains."""
    rng = np.random.default_rng(3)
    amounts = gaussian_filter(rng.uniform(0, 12, (500, 500, 2)), (2, 2, 0)) - 5
    od = np.clip(amounts, 0, None) @ np.array([[0.5, 0.75, 0.43], [0.2, 0.85, 0.49]]) + 0.2
    pixels = (240 * np.exp(-od)).astype(np.uint8)
    return ArraySlide(pixels, Path("stained.png"), MppHints(user=1.0))


def test_windows_have_the_stains_of_the_training(stained_slide):
    own = slide_stain(stained_slide)
    assert own is not None
    points = np.array([(200.0, 250.0)])
    plain, changed, untold = DarkRuntime(), DarkRuntime(), DarkRuntime()
    look = LOOK.model_copy(update={"symmetries": 1})
    exchanged = look.model_copy(update={"stain": WANTED})
    for runtime, stage, stain in (
        (plain, look, own),
        (changed, exchanged, own),
        (untold, exchanged, None),
    ):
        made = CandidateClassifier(stained_slide, stage, second_model(), runtime, stain)
        made.scores(points, np.ones(1))
    (before,), (after,), (same,) = (r.windows[0][:1] for r in (plain, changed, untold))
    wanted = Macenko.from_values(WANTED.vectors, WANTED.amounts)
    assert np.array_equal(after, wanted.transfer(before, own))
    assert not np.array_equal(after, before)
    assert np.array_equal(same, before)


def test_stains_are_those_of_the_whole_image_and_in_the_provenance(stained_slide, monkeypatch):
    plain = make_model()
    card = plain.card.model_copy(update={"second_stage": LOOK.model_copy(update={"stain": WANTED})})
    model = Model(card, plain.folder, "an id")
    monkeypatch.setattr(Model, "second_stage", property(lambda self: second_model()))
    runtime = DotRuntime(card.head)
    runtime.second_stage = DarkRuntime()
    whole = detect(stained_slide, model, runtime=runtime)
    part = detect(stained_slide, model, runtime=runtime, region=(0, 0, 100, 100))
    own = slide_stain(stained_slide)
    assert whole.provenance.parameters.stain == own.to_json()
    assert part.provenance.parameters.stain == own.to_json()
    glass = detect(DotSlide(400, 300, 0.25, [(100, 100)]), model, runtime=runtime)
    assert glass.provenance.parameters.stain is None
    assert len(glass) == 1
    kept = detect(stained_slide, model, runtime=runtime, keep_stains=True)
    assert kept.provenance.parameters.stain is None
    assert kept.provenance.parameters.second_stage["stain"] is None
    assert detect(stained_slide, plain, runtime=runtime).provenance.parameters.stain is None


def test_detect_uses_the_second_stage_of_the_model(monkeypatch):
    slide = DotSlide(400, 300, 0.25, [(100, 100), (300, 200)])
    plain = make_model()
    once = detect(slide, plain, runtime=DotRuntime(plain.card.head))
    card = plain.card.model_copy(update={"second_stage": LOOK.model_copy(update={"weight": 1.0})})
    twice_model = Model(card, plain.folder, "an id")
    monkeypatch.setattr(Model, "second_stage", property(lambda self: second_model()))
    runtime = DotRuntime(card.head)
    runtime.second_stage = DarkRuntime()
    twice = detect(slide, twice_model, runtime=runtime)
    assert len(once) == len(twice) == 2
    assert twice.score == pytest.approx(seconds(slide, twice.points), abs=1e-4)
    # Once, and not again when all is merged. The dots are in two groups of tiles: in each, one
    # window filled up to 4, and three symmetries filled up to 4.
    assert sum(len(windows) for windows in runtime.second_stage.windows) == 2 * (4 + 4)
    assert not np.allclose(once.score, twice.score)


def test_second_scores_are_kept_with_the_checkpoint(monkeypatch, tmp_path):
    monkeypatch.setattr(pipeline, "SAVE_EVERY_S", 0.0)
    rng = np.random.default_rng(0)
    slide = DotSlide(1000, 900, 0.25, rng.uniform(20, 880, (60, 2)))
    card = make_model().card.model_copy(update={"second_stage": LOOK})
    model = Model(card, Path("dots"), "an id")
    monkeypatch.setattr(Model, "second_stage", property(lambda self: second_model()))

    def look(runtime, **options):
        runtime.second_stage = LeftRuntime()
        found = detect(slide, model, runtime=runtime, **options)
        return found, sum(len(windows) for windows in runtime.second_stage.windows)

    class Interrupted(DotRuntime):
        def run(self, tiles):
            if self.tiles >= 140:
                raise KeyboardInterrupt
            return super().run(tiles)

    whole, windows = look(DotRuntime(card.head))
    assert len(whole) > 50
    with pytest.raises(KeyboardInterrupt):
        look(Interrupted(card.head), checkpoint=tmp_path / "parts")
    again, fewer = look(DotRuntime(card.head), checkpoint=tmp_path / "parts")
    assert again == whole
    assert fewer < windows / 2
