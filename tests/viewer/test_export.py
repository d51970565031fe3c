"""What counts after review, and labels that training and evaluation read."""

from __future__ import annotations

import pytest

from metaphase.counting.review import load_review
from metaphase.evaluation.evaluate import evaluate
from metaphase.figures import Figure, Label
from metaphase.labels.audit import audit
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.read import load_dataset
from metaphase.labels.undecided import UNDECIDED_NAME
from metaphase.training.data.sources import join_sources
from metaphase.training.recipe.sections import Source
from metaphase.viewer.export import (
    ExportOptions,
    export_folder,
    review_table,
    reviewed_dataset,
    undecided_figures,
)
from metaphase.viewer.reviewedfigures import counted
from metaphase.viewer.seconddetections import add_second_detections
from metaphase.viewer.slidecatalogue import find_images, open_slides
from metaphase.viewer.store import WHOLE_SLIDE, Remark, RemarkKind, State

from .conftest import MPP, confirm_all, first_mitotic, found, picture, put, save_second


def test_only_complete_slides_are_labelled(slides, store):
    put(store, slides[0], first_mitotic(slides[0]), State.CONFIRMED)
    assert not reviewed_dataset(slides, store)["a"].labelled
    assert reviewed_dataset(slides, store, ExportOptions(partial=True))["a"].count() == 1
    put(store, slides[0], WHOLE_SLIDE, State.COMPLETE)
    assert not reviewed_dataset(slides, store)["a"].labelled  # some are undecided
    confirm_all(store, slides[0])
    exported = reviewed_dataset(slides, store)
    assert exported["a"].labelled
    assert exported["a"].count() == len(counted(slides[0], [], 0.5).points)
    assert not exported["b"].labelled


def test_the_threshold_of_the_reader_decides_what_is_undecided(slides, store):
    a = slides[0]
    put(store, a, WHOLE_SLIDE, State.COMPLETE)
    assert len(undecided_figures(slides, store)["a"]) == len(counted(a, [], 0.5).points)
    for value, number in (("0.9", len(counted(a, [], 0.9).points)), ("1", 0)):
        store.add_remark(Remark("a", "", RemarkKind.THRESHOLD, value, "anna"))
        assert len(undecided_figures(slides, store)["a"]) == number
    assert reviewed_dataset(slides, store)["a"].labelled


def test_undecided_figures_of_labelled_slides_are_listed(slides, store, tmp_path):
    put(store, slides[0], first_mitotic(slides[0]), State.CONFIRMED)
    export_folder(slides, store, tmp_path / "out", ExportOptions(partial=True))
    rows = (tmp_path / "out" / UNDECIDED_NAME).read_text().splitlines()
    assert rows[0] == "case,x_px,y_px,score"
    assert len(rows) == len(counted(slides[0], [], 0.5).points)  # one is decided
    (problem,) = audit(tmp_path / "out").problems
    assert f"{len(rows) - 1} figures above the threshold were not decided" in str(problem)
    confirm_all(store, slides[0])
    export_folder(slides, store, tmp_path / "out", ExportOptions(partial=True))
    assert not (tmp_path / "out" / UNDECIDED_NAME).exists()
    assert audit(tmp_path / "out").ok


def test_the_resolution_of_the_file_is_exported_where_it_states_one(tmp_path, store):
    import numpy as np
    import tifffile

    per_cm = 10_000 / 0.499
    tifffile.imwrite(
        tmp_path / "s.tiff", np.full((64, 64, 3), 230, np.uint8), photometric="rgb",
        resolution=(per_cm, per_cm), resolutionunit="CENTIMETER",
    )  # fmt: skip
    slides = open_slides(find_images([tmp_path]), mpp=0.2456)
    with slides[0].open() as pixels:
        shown = pixels.mpp
    assert shown == pytest.approx(0.499)
    assert reviewed_dataset(slides, store)["s"].mpp == shown


def test_comments_are_exported_with_their_authors(slides, store):
    figure = first_mitotic(slides[0])
    put(store, slides[0], figure, State.REJECTED)
    for reviewer, text in (("anna", "a pyknotic\nnucleus"), ("ben", "apoptosis")):
        store.add_remark(Remark("a", figure, RemarkKind.COMMENT, text, reviewer))
    table = review_table(slides, store)
    assert table.splitlines()[0].endswith(",figure,comment,atypical,atypical_probability")
    assert table.splitlines()[1].endswith("anna: a pyknotic nucleus | ben: apoptosis,,")
    assert "ben" not in review_table(slides, store, "anna")


def test_a_rejected_figure_is_a_hard_negative_or_nothing(slides, store):
    confirm_all(store, slides[0])
    put(store, slides[0], first_mitotic(slides[0]), State.REJECTED)
    put(store, slides[0], WHOLE_SLIDE, State.COMPLETE)
    assert reviewed_dataset(slides, store)["a"].count(Label.HARD_NEGATIVE) == 1
    without = reviewed_dataset(slides, store, ExportOptions(rejected_as=None))
    assert without["a"].count(Label.HARD_NEGATIVE) == 0


def test_the_export_is_read_as_labels_and_as_a_review(slides, store, tmp_path, folder):
    a = slides[0]
    confirm_all(store, a)
    put(store, a, "a-1", State.ADDED, place=(7.25, 8.5))
    other = list(a.columns.index)[4]
    put(store, a, other, State.REJECTED)
    put(store, a, WHOLE_SLIDE, State.COMPLETE)
    written = export_folder(slides, store, tmp_path / "out")
    again = load_dataset(tmp_path / "out" / "figures.csv", images=folder)
    assert again["a"].figures == written["a"].figures
    assert again["a"].image == folder / "a.png"
    assert again["a"].mpp == MPP
    assert [case.labelled for case in again] == [True, False]
    states = sorted(str(d.state) for d in load_review(tmp_path / "out" / "review.csv"))
    assert sorted(set(states)) == ["added", "confirmed", "rejected"]


def test_train_and_evaluate_take_the_export_as_it_is(slides, store, tmp_path):
    a = slides[0]
    one, other, *_ = (f for f, i in a.columns.index.items() if a.columns.label[i] == 0)
    confirm_all(store, a)
    put(store, a, one, State.CONFIRMED)
    put(store, a, other, State.REJECTED)
    put(store, a, WHOLE_SLIDE, State.COMPLETE)
    exported = export_folder(slides, store, tmp_path / "out")["a"]
    for labels in (tmp_path / "out", tmp_path / "out" / "figures.csv"):
        taken = join_sources([Source(labels=labels)])  # no folder of images is named
        assert [case.image.is_file() for case in taken] == [True, True]
        assert [case.labelled for case in taken] == [True, False]
        assert taken["a"].count() == exported.count()
        assert taken["a"].count(Label.HARD_NEGATIVE) == 1
    counts = evaluate({"a": found("a.png")}, taken.labelled()).overall.counts
    assert counts.tp + counts.fn == exported.count()


def test_labels_that_were_opened_stand_corrected(folder, store):
    box = (90.0, 90.0, 140.0, 140.0)
    figures = (Figure("7", 115.0, 115.0, box=box), Figure("8", 300.5, 200.0))
    known = Dataset([Case("a", folder / "a.png", figures=figures, scanner="S"), Case("b")])
    slides = open_slides(find_images([folder]), labels=known, mpp=MPP)
    put(store, slides[0], list(slides[0].columns.index)[1], State.RELABELLED, Label.HARD_NEGATIVE)
    case = reviewed_dataset(slides, store)["a"]
    assert [(f.id, f.label) for f in case.figures] == [
        ("7", Label.MITOTIC),
        ("8", Label.HARD_NEGATIVE),
    ]
    assert case.figures[0].box == box
    assert case.scanner == "S"


def test_two_readers_export_apart(slides, store):
    figure = first_mitotic(slides[0])
    put(store, slides[0], figure, State.CONFIRMED, reviewer="anna")
    put(store, slides[0], figure, State.REJECTED, reviewer="ben")
    for reviewer, count in (("anna", 1), ("ben", 0), (None, 0)):
        options = ExportOptions(reviewer, partial=True)
        assert reviewed_dataset(slides, store, options)["a"].count() == count
    assert "ben" not in review_table(slides, store, "anna")


def test_readers_decisions_of_atypical_are_exported(slides, store, tmp_path):
    figure = first_mitotic(slides[0])
    confirm_all(store, slides[0])
    put(store, slides[0], WHOLE_SLIDE, State.COMPLETE)
    store.add_remark(Remark("a", figure, RemarkKind.ATYPICAL, "yes", "anna"))
    dataset = export_folder(slides, store, tmp_path)
    assert [f.atypical for f in dataset["a"].figures].count(1.0) == 1
    assert sum(f.atypical is not None for f in dataset["a"].figures) == 1
    assert load_dataset(tmp_path / "figures.csv")["a"] == dataset["a"]
    decisions = load_review(tmp_path / "review.csv")
    assert [d.atypical for d in decisions].count(True) == 1
    assert [d.atypical for d in decisions].count(None) == len(decisions) - 1


def test_rejected_figures_of_a_second_model_are_hard_negatives(slides, store, tmp_path):
    """With and without the second model beside them."""
    save_second(tmp_path / "second")
    compared = add_second_detections(slides, tmp_path / "second")
    confirm_all(store, slides[0])
    figure = "s120000_10000_0"
    put(store, compared[0], figure, State.REJECTED)
    put(store, slides[0], WHOLE_SLIDE, State.COMPLETE)
    for opened in (compared, slides):
        case = reviewed_dataset(opened, store)["a"]
        (negative,) = [f for f in case.figures if f.label == Label.HARD_NEGATIVE]
        assert (negative.x_px, negative.y_px) == (1200.0, 100.0)
        assert case.count() == len(counted(slides[0], [], 0.5).points)
        table = review_table(opened, store).splitlines()
        (row,) = [line for line in table if figure in line]
        assert row.startswith("a.png,1200.0,100.0,rejected,mitotic figure,rejected,")
    without = reviewed_dataset(compared, store, ExportOptions(rejected_as=None))
    assert without["a"].count(Label.HARD_NEGATIVE) == 0


def test_labels_under_review_are_exported_beside_a_second_model(folder, store, tmp_path):
    save_second(tmp_path / "second")
    figures = (Figure("7", 115.0, 115.0), Figure("8", 300.5, 200.0))
    known = Dataset([Case("a", folder / "a.png", figures=figures)])
    slides = open_slides(find_images([folder / "a.png"]), labels=known, mpp=MPP)
    slides = add_second_detections(slides, tmp_path / "second")
    assert reviewed_dataset(slides, store)["a"].figures == figures


def test_slides_of_one_name_are_named_with_their_folder_in_the_review(tmp_path, store):
    for name in ("x/s.png", "y/s.png", "y/t.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        picture(tmp_path / name, 300, 300)
    slides = open_slides(find_images([tmp_path]), mpp=MPP)
    for entry in slides:
        put(store, entry, "a-1", State.ADDED, place=(50.0, 60.0))
    names = [line.split(",")[0] for line in review_table(slides, store).splitlines()[1:]]
    assert names == ["x/s.png", "y/s.png", "t.png"]
