"""Folds of slides and scanners: nothing of what is scored is learnt from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from studies import left_out
from studies.leftoutfolds import (
    APERIO,
    CONTEST,
    FOLDS,
    NANOZOOMER,
    NO_APERIO,
    NO_NANOZOOMER,
    PAIRS,
    SLIDES,
    detector_slides,
    fold_recipe,
    scored_cases,
    slide_name,
)

from metaphase.detectionfile import save_detections
from metaphase.figures import Detections
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Provenance
from metaphase.training.recipe.recipe import load_recipe
from tests.training.helpers import figure

RECIPE = Path(__file__).parents[1] / "recipes" / "compact.toml"
SLIDES_OF = {
    "aperio": ("A00", "A01", "A02", "A04"),
    "aperio-test": ("A00", "A01", "A02", "A04"),
    PAIRS: ("A00", "A01", "A02", "A04"),
    NANOZOOMER: ("S05", "S07", "S11", "S12", "S15", "S17"),
}


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("METAPHASE_DATA", str(tmp_path))
    return load_recipe(RECIPE)


def regions() -> Dataset:
    return Dataset(
        Case(
            f"{source}/{slide}_0",
            group=f"{source}/{slide}",
            mpp=0.25,
            figures=(figure(0, 50, 50),),
            width_px=4000,
            height_px=4000,
        )
        for source, slides in SLIDES_OF.items()
        for slide in slides
    )


def trained_on(recipe, fold, slides) -> set[tuple[str, str]]:
    data = fold_recipe(recipe, fold, regions(), slides).data
    sources = [source.name for source in data.sources if source.role == "regions"]
    # Ids have no source before them where there is one source only.
    ids = [f"{sources[0]}/{n}" if len(sources) == 1 else n for n in data.split.training]
    return {tuple(case_id.removesuffix("_0").split("/")) for case_id in ids}


def test_every_slide_is_left_out_once() -> None:
    left = [slide for fold in SLIDES for slide in fold.slides]
    assert sorted(left) == sorted({*SLIDES_OF["aperio"], *SLIDES_OF[NANOZOOMER]})


@pytest.mark.parametrize("name", list(FOLDS))
def test_no_fold_learns_from_what_it_is_scored_on(recipe, name: str) -> None:
    fold = FOLDS[name]
    tested = {
        (case.id.partition("/")[0], slide_name(case.domain("group")))
        for case in scored_cases(fold, regions())
    }
    assert tested
    learnt = trained_on(recipe, fold, fold.slides)
    assert not tested & learnt
    if fold == CONTEST:  # other fields of the same slides, which its name says
        return
    # The same tissue on another scanner, or of another part of the contest, neither.
    slides = {slide for _, slide in tested}
    assert not slides & {slide for _, slide in learnt}
    detector = trained_on(recipe, fold, detector_slides(fold.detector))
    assert detector <= learnt
    assert not slides & {slide for _, slide in detector}


def test_a_scanner_that_is_left_out_is_in_no_source(recipe) -> None:
    without = fold_recipe(recipe, NO_NANOZOOMER, regions(), ())
    assert {s.name for s in without.data.sources} == {*APERIO, "midog", "tupac"}
    midog = next(s for s in without.data.sources if s.name == "midog")
    assert "scanner:Hamamatsu*" in midog.without
    without = fold_recipe(recipe, NO_APERIO, regions(), ())
    assert {s.name for s in without.data.sources} == {NANOZOOMER, "midog"}


def test_the_second_stage_of_a_fold_leaves_out_only_what_the_fold_has(recipe) -> None:
    def left_out(fold):
        return fold_recipe(recipe, fold, regions(), ()).second_stage.without_sources

    assert left_out(SLIDES[0]) == (PAIRS,)
    assert left_out(NO_NANOZOOMER) == left_out(NO_APERIO) == ()


def detections(case_id: str, *scores: float) -> Detections:
    provenance = Provenance(image=case_id, width_px=4000, height_px=4000, mpp=0.25)
    points = [50.0 + 400 * i for i in range(len(scores))]
    return Detections(points, points, scores, provenance=provenance)


def test_a_threshold_is_chosen_on_others() -> None:
    """The others' figure scores 0.6, their false positive 0.2: in between, whatever is scored."""
    others = {"aperio/A00_0": detections("a", 0.6, 0.2), "aperio/A01_0": detections("b", 0.6, 0.2)}
    found = {"aperio/A02_0": detections("c", 0.1, 0.9)}
    (chosen,) = left_out.at_chosen_threshold(found, others, regions()).values()
    assert 0.2 < chosen.provenance.threshold <= 0.6


def test_a_normalisation_is_taken_back() -> None:
    before = detections("a", 0.9, 0.5, 0.1)
    logits = np.log(before.score / (1 - before.score))
    shifted = Detections(
        before.x_px,
        before.y_px,
        1 / (1 + np.exp(-(logits - 1.5))),
        provenance=before.with_parameters(score_shift=-1.5).provenance,
    )
    assert left_out.without_normalisation(shifted).score == pytest.approx(before.score)
    assert left_out.without_normalisation(before) is before


def kept(folder: Path, fold: str, found: dict[str, Detections]) -> None:
    for name, one in found.items():
        save_detections(one, folder / fold / left_out.LEFT_OUT / name)


def test_the_threshold_of_a_scanner_is_chosen_on_the_other_one(tmp_path: Path) -> None:
    kept(tmp_path, "a1", {"aperio/A00_0": detections("a", 0.6, 0.2)})
    kept(tmp_path, "n1", {f"{NANOZOOMER}/S05_0": detections("b", 0.3, 0.1)})
    folds = left_out.Folds(tmp_path, regions())
    titles = dict(left_out.protocols(folds))
    assert len(titles) == 3  # both, and both together
    for title, found in titles.items():
        for name, one in found.items():
            # Of a figure at 0.6 and a false positive at 0.2, or of 0.3 and 0.1.
            low, high = (0.1, 0.3) if name.startswith("aperio") else (0.2, 0.6)
            assert low < one.provenance.threshold <= high, title
    chosen = left_out.threshold_of_all(folds)["threshold_of_all"]
    assert isinstance(chosen, float)
    assert 0.15 < chosen < 0.45


def test_the_table_names_the_worst_slide_first(capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        "aperio/A00_0": detections("a", 0.9),
        "aperio/A01_0": detections("b", 0.9, 0.8, 0.7),
    }
    found = {name: one.with_provenance(threshold=0.5) for name, one in found.items()}
    figures = left_out.print_scores("Title", found, left_out.grouped_by_slide(regions()))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert lines[2].startswith("| A01 | 1 | 0.500 | 0.333 | 1.000 | 2.0 |")
    assert lines[3].startswith("| A00 | 1 | 1.000 |")
    assert lines[4].startswith("| **all** | 2 | 0.667 |")
    assert figures["thresholds"] == [0.5]
    assert left_out.print_scores("Nothing", {}, regions()) == {}
