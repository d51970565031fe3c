from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metaphase.detection.runtime import Runtime
from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.models.modelfile import Model
from metaphase.training.fit import thresholdselection
from metaphase.training.fit.thresholdselection import detect_cases, select_threshold
from tests.detection.scenes import GREY, DotRuntime, make_card
from tests.training.helpers import make_recipe

FIGURES = [(60, 60), (190, 70), (100, 180)]
FALSE = [(60, 190), (200, 200)]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two images of 256 px: large dots are figures, small ones are not."""
    folder = tmp_path_factory.mktemp("cases")
    y, x = np.mgrid[:256, :256] + 0.5
    made = []
    for name in ("a", "b"):
        pixels = np.full((256, 256, 3), 255, np.uint8)
        for places, radius in ((FIGURES, 10), (FALSE, 4)):
            for px, py in places:
                pixels[np.hypot(x - px, y - py) <= radius] = GREY[Label.MITOTIC]
        Image.fromarray(pixels).save(folder / f"{name}.png")
        figures = tuple(Figure(f"{n}", px, py) for n, (px, py) in enumerate(FIGURES))
        made.append(Case(name, image=folder / f"{name}.png", mpp=0.25, figures=figures))
    return Dataset(made, name="dots")


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> DotRuntime:
    """The runtime of every model, which counts its tiles."""
    dots = DotRuntime(make_card().head)

    def open_runtime(model: Model) -> Runtime:
        return dots

    monkeypatch.setattr(thresholdselection, "open_runtime", open_runtime)
    return dots


def a_model(identity: str = "an id") -> Model:
    return Model(make_card(), Path("dots"), identity)


# --- the threshold


def test_the_threshold_parts_figures_from_the_rest(
    cases: Dataset, runtime: DotRuntime, tmp_path: Path
) -> None:
    threshold, scores = select_threshold(make_recipe(), a_model(), cases, tmp_path, show=False)
    assert scores.f1 == threshold.f1 == 1
    found = detect_cases(a_model(), cases, tmp_path, show=False)["a"]
    assert len(found) == len(FIGURES) + len(FALSE)
    assert found.score[3] < threshold.value <= found.score[2]
    assert threshold.chosen_on == "dots: 2 validation cases"
    assert "um" in threshold.protocol


def test_a_threshold_of_the_recipe_is_scored_only(
    cases: Dataset, runtime: DotRuntime, tmp_path: Path
) -> None:
    validation = {"threshold": 0.1, "threshold_note": "as published"}
    recipe = make_recipe(validation=validation)
    threshold, scores = select_threshold(recipe, a_model(), cases, tmp_path, show=False)
    assert threshold.value == 0.1
    assert (threshold.chosen_on, threshold.protocol) == ("the recipe", "as published")
    assert scores.f1 == threshold.f1 == pytest.approx(2 * 6 / (2 * 6 + 4))


def test_the_same_detections_give_the_same_threshold(
    cases: Dataset, runtime: DotRuntime, tmp_path: Path
) -> None:
    first, second = (
        select_threshold(make_recipe(), a_model(), cases, tmp_path / name, show=False)[0]
        for name in ("one", "two")
    )
    assert first == second


# --- detections


def test_detections_are_kept_and_not_repeated(
    cases: Dataset, runtime: DotRuntime, tmp_path: Path
) -> None:
    first = detect_cases(a_model(), cases, tmp_path, show=False)
    tiles = runtime.tiles
    assert tiles > 0
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}
    again = detect_cases(a_model(), cases, tmp_path, show=False)
    assert runtime.tiles == tiles
    for name in first:
        np.testing.assert_allclose(again[name].points, first[name].points, atol=0.01)
        np.testing.assert_allclose(again[name].score, first[name].score, atol=1e-6)


def test_a_case_that_is_missing_is_detected_alone(
    cases: Dataset, runtime: DotRuntime, tmp_path: Path
) -> None:
    detect_cases(a_model(), cases.select(["a"]), tmp_path, show=False)
    one = runtime.tiles
    found = detect_cases(a_model(), cases, tmp_path, show=False)
    assert set(found) == {"a", "b"}
    assert runtime.tiles == 2 * one


@pytest.mark.parametrize("change", ["model", "min_score"])
def test_detections_of_another_model_or_score_are_made_anew(
    cases: Dataset, runtime: DotRuntime, tmp_path: Path, change: str
) -> None:
    detect_cases(a_model(), cases, tmp_path, show=False)
    tiles = runtime.tiles
    if change == "model":
        found = detect_cases(a_model("another id"), cases, tmp_path, show=False)
        assert {d.provenance.model_id for d in found.values()} == {"another id"}
    else:
        found = detect_cases(a_model(), cases, tmp_path, min_score=0.2, show=False)
        assert {d.provenance.parameters.min_score for d in found.values()} == {0.2}
    assert runtime.tiles == 2 * tiles


def test_no_cases_need_no_runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(model: Model) -> Runtime:
        raise AssertionError("opened for nothing")

    monkeypatch.setattr(thresholdselection, "open_runtime", fail)
    assert detect_cases(a_model(), Dataset([]), tmp_path, show=False) == {}
