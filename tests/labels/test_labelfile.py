"""What readers of labels report, and how their cases become a data set."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import LabelError
from metaphase.figures import Figure
from metaphase.labels.dataset import Case
from metaphase.labels.labelfile import LabelFile, check_place, numbered, record_of, repeated


def a_file(*cases: Case) -> LabelFile:
    return LabelFile(Path("folder/labels.json"), "coco", name="small", cases=list(cases))


def box(x1: float, y1: float, x2: float, y2: float) -> Figure:
    return Figure("7", (x1 + x2) / 2, (y1 + y2) / 2, box=(x1, y1, x2, y2))


def test_a_file_without_problems_is_a_data_set() -> None:
    file = a_file(Case("a"), Case("b"))
    file.note("case a", "is small")
    dataset = file.dataset()
    assert (dataset.ids, dataset.name) == (("a", "b"), "small")
    assert dataset.source == str(file.path)
    assert [str(note) for note in file.notes] == ["labels.json: case a: is small"]


def test_all_problems_are_raised_together() -> None:
    file = a_file(Case("a"))
    file.problem("case a", "is wrong", "remove it")
    file.problem("case b", "is absent")
    with pytest.raises(LabelError) as caught:
        file.dataset()
    assert [str(problem) for problem in caught.value.problems] == [
        "labels.json: case a: is wrong (remove it)",
        "labels.json: case b: is absent",
    ]


def test_only_what_the_file_leaves_open_is_filled() -> None:
    file = a_file(Case("a", scanner="S1"), Case("b", mpp=0.5))
    file.fill(scanner="S2", mpp=0.25, tumour=None)
    a, b = file.cases
    assert (a.scanner, a.mpp, a.tumour) == ("S1", 0.25, None)
    assert (b.scanner, b.mpp, b.tumour) == ("S2", 0.5, None)


def test_images_of_one_name_in_two_folders_are_two_cases() -> None:
    images = [Path("p1/01.png"), Path("p2/01.png"), Path("p2/02.png")]
    file = a_file(*(Case(image.stem, image=image) for image in images), Case("no image"))
    file.separate_cases()
    assert [case.id for case in file.cases] == ["p1/01", "p2/01", "02", "no image"]
    assert not file.problems


def test_repeated_cases_are_a_problem_and_the_first_is_kept() -> None:
    file = a_file(Case("a", image=Path("a.png"), mpp=1), Case("a", image=Path("a.tif")), Case("b"))
    file.drop_repeated_cases()
    assert [(case.id, case.mpp) for case in file.cases] == [("a", 1), ("b", None)]
    (problem,) = file.problems
    assert problem.record == "case a"
    assert problem.message == "appears 2 times: a.png, a.tif"


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([], ""),
        ([1, "b"], "1, b"),
        (range(5), "0, 1, 2, 3, 4"),
        (range(7), "0, 1, 2, 3, 4 and 2 more"),
    ],
)
def test_long_lists_are_cut(ids: list[object], text: str) -> None:
    assert numbered(iter(ids)) == text


@given(st.lists(st.integers(0, 5)))
def test_repeated_values_are_counted(values: list[int]) -> None:
    assert dict(repeated(values)) == {v: values.count(v) for v in values if values.count(v) > 1}


@pytest.mark.parametrize(
    ("figure", "problems", "notes"),
    [
        (box(10, 10, 60, 60), 0, 0),
        (box(0, 0, 100, 80), 0, 0),
        (box(-5, 10, 45, 60), 0, 1),
        (box(80, 60, 130, 110), 0, 1),
        (box(-60, 10, -10, 60), 1, 0),
        (box(-50, 10, 0, 60), 1, 0),
        (box(110, 10, 160, 60), 1, 0),
        (box(10, 90, 60, 140), 1, 0),
        (Figure("7", 100, 80), 0, 0),
        (Figure("7", 0, 0), 0, 0),
        (Figure("7", 100.5, 40), 1, 0),
        (Figure("7", 40, -1), 1, 0),
        (Figure("7", math.inf, 40), 1, 0),
        (Figure("7", 40, math.nan), 1, 0),
    ],
)
def test_places_inside_outside_and_on_the_border(figure: Figure, problems: int, notes: int) -> None:
    file = a_file()
    assert check_place(file, figure, 100, 80) == (problems == 0)
    assert (len(file.problems), len(file.notes)) == (problems, notes)
    assert all(entry.record == "annotation 7" for entry in file.problems + file.notes)


def test_without_a_known_size_only_negative_places_are_outside() -> None:
    file = a_file()
    assert check_place(file, box(1e6, 1e6, 2e6, 2e6), None, None)
    assert not check_place(file, box(1e6, -90, 2e6, -40), None, 80)
    (problem,) = file.problems
    assert "lies outside its image of ? x 80 px: 1e+06, -90, 2e+06, -40" in problem.message


@given(st.floats(-300, 300), st.floats(-300, 300), st.floats(1, 100), st.floats(1, 100))
def test_a_box_is_accepted_if_it_overlaps_its_image(x: float, y: float, w: float, h: float) -> None:
    file = a_file()
    accepted = check_place(file, box(x, y, x + w, y + h), 100, 80)
    if x + w > 0 and y + h > 0 and x < 100 and y < 80:
        assert accepted
        assert bool(file.notes) == (x < 0 or y < 0 or x + w > 100 or y + h > 80)
    elif x + w < 0 or y + h < 0 or x > 100 or y > 80:
        assert not accepted


def test_a_figure_without_an_id_is_named_by_its_place() -> None:
    assert record_of(Figure("7", 1, 2)) == "annotation 7"
    assert record_of(Figure("", 1.5, 2)) == "annotation at 1.5, 2"
