"""The slides of a loop on the page."""

from __future__ import annotations

import pytest

from metaphase.errors import InputError
from metaphase.viewer.loopslides import loop_slides, proposed_figures

from .conftest import found
from .looppages import make_loop


@pytest.fixture
def loop(tmp_path, slides):
    return make_loop(tmp_path / "loop", slides, {"a": found("a.png"), "b": found("b.png", 4)})


def test_the_slides_have_their_latest_detections(loop, slides):
    opened = loop_slides(loop)
    assert [entry.key for entry in opened] == ["a", "b"]
    assert [len(entry.columns) for entry in opened] == [20, 4]
    assert opened[0].slug == slides[0].slug
    assert opened[0].folder == loop.detections / "a"


def test_proposals_are_ids_in_their_order(loop):
    opened = loop_slides(loop)
    proposed = proposed_figures(loop, opened)
    assert list(proposed) == ["b", "a"]  # the most informative one is on b
    for entry in opened:
        assert all(figure in entry.columns.index for figure in proposed[entry.key])
    loop.write_order([("a", 1.0, 1.0), ("c", 5.0, 5.0)])  # no figure, no slide
    assert proposed_figures(loop, opened) == {}


def test_slides_that_failed_are_left_out_and_missing_images_are_named(loop, slides):
    loop.candidates("a").unlink()
    assert [entry.key for entry in loop_slides(loop)] == ["b"]
    slides[1].path.unlink()
    with pytest.raises(InputError, match=r"b\.png"):
        loop_slides(loop)
    loop.candidates("b").unlink()
    with pytest.raises(InputError, match="no slides to review"):
        loop_slides(loop)
