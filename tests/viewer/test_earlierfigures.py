"""Decisions about detections of an earlier model hold for what the next model finds there."""

from __future__ import annotations

import pytest

from metaphase.figures import Detections, Label
from metaphase.provenance import Provenance
from metaphase.viewer.earlierfigures import in_force, present_figures
from metaphase.viewer.export import ExportOptions, review_table, reviewed_dataset
from metaphase.viewer.reviewedfigures import counted
from metaphase.viewer.reviewedslides import slide_reviews
from metaphase.viewer.reviewstate import ReviewState
from metaphase.viewer.slidecatalogue import find_images, open_slides
from metaphase.viewer.store import WHOLE_SLIDE, Remark, RemarkKind, State

from .conftest import HEIGHT, MPP, WIDTH, put

CELLS = [(200, 200), (500, 200), (800, 200), (1100, 200)]
NEW = {"moved": (208, 206), "found anew": (300, 600)}  # 10 px are 2.5 um


def entry_of(folder, points, model="first"):
    made = Provenance("a.png", WIDTH, HEIGHT, MPP, threshold=0.5, model=model)
    x, y = zip(*points, strict=True)
    score = [0.9 - 0.01 * k for k in range(len(points))]
    found = Detections(x, y, score, provenance=made)
    return open_slides(find_images([folder / "a.png"]), detections={"a": found}, mpp=MPP)[0]


@pytest.fixture
def first(folder):
    return entry_of(folder, CELLS)


@pytest.fixture
def second(folder):
    return entry_of(folder, [*NEW.values()], "second")


def ids_of(entry):
    return list(entry.columns.index)


def force(entry, store, reviewer=None):
    return in_force(entry, ReviewState(entry.key).update(store), reviewer)


def test_a_decision_holds_for_the_detection_at_its_place(first, second, store):
    for figure, state in zip(ids_of(first), ("rejected", "confirmed", "rejected"), strict=False):
        put(store, first, figure, State(state))
    moved, anew = ids_of(second)
    standing = force(second, store)
    assert standing[moved].state == State.REJECTED
    assert (standing[moved].x_px, standing[moved].score) == (208, pytest.approx(0.9))
    assert anew not in standing
    assert [standing[f].state for f in ids_of(first)[1:3]] == ["confirmed", "rejected"]
    assert ids_of(first)[0] not in standing  # it is not there twice


def test_nothing_is_lost_in_the_export(first, second, store):
    states = (State.REJECTED, State.CONFIRMED, State.REJECTED, State.RELABELLED)
    for figure, state in zip(ids_of(first), states, strict=True):
        label = Label.HARD_NEGATIVE if state == State.RELABELLED else Label.MITOTIC
        put(store, first, figure, state, label)
    put(store, second, ids_of(second)[1], State.CONFIRMED)
    put(store, second, WHOLE_SLIDE, State.COMPLETE)
    case = reviewed_dataset([second], store)["a"]
    assert case.labelled
    found = sorted((f.x_px, str(f.label)) for f in case.figures)
    assert found == [
        (208, "hard negative"), (300, "mitotic figure"), (500, "mitotic figure"),
        (800, "hard negative"), (1100, "hard negative"),
    ]  # fmt: skip
    left_out = reviewed_dataset([second], store, ExportOptions(rejected_as=None))["a"]
    assert sorted(f.x_px for f in left_out.figures) == [300, 500, 1100]
    assert review_table([second], store).count("\n") == 6
    (review,) = slide_reviews([second], store)
    assert sorted(review.points[review.target > 0.5][:, 0].tolist()) == [300, 500]
    assert len(review) == 5


def test_a_decided_figure_counts_once(first, second, store):
    put(store, first, ids_of(first)[0], State.CONFIRMED)
    assert len(counted(second, force(second, store).values(), 0.5).points) == 2
    put(store, first, ids_of(first)[1], State.CONFIRMED)
    assert len(counted(second, force(second, store).values(), 0.5).points) == 3


def test_the_latest_decision_about_a_place_holds(first, second, store):
    old, (moved, _) = ids_of(first)[0], ids_of(second)
    put(store, first, old, State.REJECTED)
    put(store, second, moved, State.CONFIRMED)
    assert force(second, store)[moved].state == State.CONFIRMED
    assert force(first, store)[old].state == State.CONFIRMED  # with the first model again
    put(store, first, old, State.REJECTED)
    assert force(second, store)[moved].state == State.REJECTED


def test_undoing_takes_an_earlier_decision_back(first, second, store):
    old, (moved, _) = ids_of(first)[0], ids_of(second)
    put(store, first, old, State.REJECTED)
    put(store, second, moved, State.UNDONE)
    assert force(second, store) == {}
    put(store, first, old, State.REJECTED, reviewer="ben")
    assert force(second, store)[moved].reviewer == "ben"
    assert force(second, store, "anna") == {}


def test_figures_of_two_earlier_models_at_one_place_are_one(folder, store):
    one, two = entry_of(folder, [(500, 200)]), entry_of(folder, [(506, 204)], "second")
    third = entry_of(folder, [(900, 700)], "third")
    put(store, one, ids_of(one)[0], State.CONFIRMED)
    put(store, two, ids_of(two)[0], State.REJECTED)
    (decision,) = force(third, store).values()
    assert decision.state == State.REJECTED


def test_two_cells_do_not_become_one(folder, store):
    """Two earlier figures, 40 px apart, and one of today between them, within 30 px of both."""
    two, one = entry_of(folder, [(500, 200), (540, 200)]), entry_of(folder, [(518, 200)], "new")
    for figure in ids_of(two):
        put(store, two, figure, State.CONFIRMED)
    places = sorted(d.x_px for d in force(one, store).values())
    assert places == [518, 540]


def test_farther_away_or_of_another_label_is_another_figure(folder, store):
    old = entry_of(folder, [(500, 200)])
    far = entry_of(folder, [(500 + 7.6 / MPP, 200)], "new")
    put(store, old, ids_of(old)[0], State.CONFIRMED)
    assert list(force(far, store)) == ids_of(old)
    assert present_figures(far, ["d50000_20000_1", "a-1", "s50000_20000_0", "x"]) == {}
    near = entry_of(folder, [(500 + 7.4 / MPP, 200)], "new")
    assert list(force(near, store)) == ids_of(near)


def test_comments_and_atypical_go_with_the_figure(first, second, store):
    old, (moved, _) = ids_of(first)[0], ids_of(second)
    put(store, first, old, State.CONFIRMED)
    store.add_remark(Remark("a", old, RemarkKind.COMMENT, "tripolar", "anna"))
    store.add_remark(Remark("a", old, RemarkKind.ATYPICAL, "yes", "anna"))
    table = review_table([second], store)
    assert f",{moved},tripolar,true," in table.replace("anna: ", "")
    store.add_remark(Remark("a", moved, RemarkKind.COMMENT, "", "anna"))
    store.add_remark(Remark("a", moved, RemarkKind.ATYPICAL, "no", "anna"))
    assert "tripolar" not in review_table([second], store)


def test_a_slide_of_unknown_resolution_keeps_all_decisions(first, store):
    from dataclasses import replace

    put(store, first, "d100_100_0", State.CONFIRMED, place=(1.0, 1.0))
    unknown = replace(first, mpp=None, provenance=None)
    assert list(force(unknown, store)) == ["d100_100_0"]
