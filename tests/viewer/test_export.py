"""What counts after review, and labels that training and evaluation read."""

from __future__ import annotations

from metaphase.counting.review import load_review
from metaphase.evaluation.evaluate import evaluate
from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.read import load_dataset
from metaphase.training.data.sources import join_sources
from metaphase.training.recipe.sections import Source
from metaphase.viewer.export import (
    ExportOptions,
    export_folder,
    review_table,
    reviewed_dataset,
)
from metaphase.viewer.slidecatalogue import find_images, open_slides
from metaphase.viewer.store import WHOLE_SLIDE, State

from .conftest import MPP, first_mitotic, found, put


def test_only_complete_slides_are_labelled(slides, store):
    put(store, slides[0], first_mitotic(slides[0]), State.CONFIRMED)
    assert not reviewed_dataset(slides, store)["a"].labelled
    assert reviewed_dataset(slides, store, ExportOptions(partial=True))["a"].count() == 1
    put(store, slides[0], WHOLE_SLIDE, State.COMPLETE)
    exported = reviewed_dataset(slides, store)
    assert exported["a"].labelled
    assert exported["a"].count() == 1
    assert not exported["b"].labelled


def test_a_rejected_figure_is_a_hard_negative_or_nothing(slides, store):
    put(store, slides[0], first_mitotic(slides[0]), State.REJECTED)
    put(store, slides[0], WHOLE_SLIDE, State.COMPLETE)
    assert reviewed_dataset(slides, store)["a"].count(Label.HARD_NEGATIVE) == 1
    without = reviewed_dataset(slides, store, ExportOptions(rejected_as=None))
    assert without["a"].figures == ()


def test_the_export_is_read_as_labels_and_as_a_review(slides, store, tmp_path, folder):
    a = slides[0]
    put(store, a, first_mitotic(a), State.CONFIRMED)
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
    assert states == ["added", "confirmed", "rejected"]


def test_train_and_evaluate_take_the_export_as_it_is(slides, store, tmp_path):
    a = slides[0]
    one, other, *_ = (f for f, i in a.columns.index.items() if a.columns.label[i] == 0)
    put(store, a, one, State.CONFIRMED)
    put(store, a, other, State.REJECTED)
    put(store, a, WHOLE_SLIDE, State.COMPLETE)
    export_folder(slides, store, tmp_path / "out")
    for labels in (tmp_path / "out", tmp_path / "out" / "figures.csv"):
        taken = join_sources([Source(labels=labels)])  # no folder of images is named
        assert [case.image.is_file() for case in taken] == [True, True]
        assert [case.labelled for case in taken] == [True, False]
        assert (taken["a"].count(), taken["a"].count(Label.HARD_NEGATIVE)) == (1, 1)
    counts = evaluate({"a": found("a.png")}, taken.labelled()).overall.counts
    assert counts.tp + counts.fn == 1


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
