from __future__ import annotations

import pytest

from metaphase.detectionfile import save_detections
from metaphase.errors import DetectionsError
from metaphase.figures import Figure
from metaphase.labels.dataset import Case, Dataset
from metaphase.viewer.columns import Source
from metaphase.viewer.seconddetections import add_second_detections
from metaphase.viewer.slidecatalogue import find_images, open_slides

from .conftest import HEIGHT, MPP, WIDTH, found, save_second, second_detections


def test_the_second_detections_are_beside_the_first(slides, tmp_path):
    save_second(tmp_path / "second")
    a, b = add_second_detections(slides, tmp_path / "second")
    assert (a.columns.source == Source.SECOND).sum() == len(second_detections())
    assert (a.columns.source == Source.DETECTION).sum() == len(found("a.png"))
    assert list(a.columns.index)[-1] == "s30000_70000_0"
    assert (a.second.name, a.second.against, a.second.threshold) == ("other", "toy", 0.4)
    assert (a.not_compared, a.threshold, a.model) == ("", 0.5, "toy")
    assert b.second is None
    assert b.not_compared == "other has no detections of this slide."
    assert len(b.columns) == len(slides[1].columns)


def test_a_slide_without_anything_under_review_is_not_compared(folder, tmp_path):
    for name in ("a.png", "b.png"):
        save_second(tmp_path / "second", name)
    slides = open_slides(find_images([folder]), detections={"a": found("a.png")}, mpp=MPP)
    a, b = add_second_detections(slides, tmp_path / "second")
    assert a.second is not None
    assert b.not_compared == "This slide has no detections under review."


def test_labels_may_be_under_review(folder, tmp_path):
    save_second(tmp_path / "second")
    known = Dataset([Case("a", folder / "a.png", figures=(Figure("1", 5.0, 5.0),))])
    a = open_slides(find_images([folder]), labels=known, mpp=MPP)[0]
    (a,) = add_second_detections([a], tmp_path / "second")
    assert (a.second.name, a.second.against) == ("other", "labels")


def test_models_of_one_name_are_called_by_their_folders(folder, tmp_path):
    for run in ("one", "two"):
        save_detections(found("a.png"), tmp_path / run / "a")
        save_detections(found("a.png"), tmp_path / "again" / run / "a")
    images = find_images([folder / "a.png"])
    slides = open_slides(images, detections=tmp_path / "one", mpp=MPP)
    (a,) = add_second_detections(slides, tmp_path / "two")
    assert (a.second.against, a.second.name) == ("one", "two")
    (a,) = add_second_detections(slides, tmp_path / "again" / "one")
    assert (a.second.against, a.second.name) == ("one (first)", "one (second)")


def test_other_sizes_and_resolutions_are_named_together(slides, tmp_path):
    save_second(tmp_path / "second", width_px=2 * WIDTH)
    save_second(tmp_path / "second", "b.png", mpp=2 * MPP)
    with pytest.raises(DetectionsError) as refused:
        add_second_detections(slides, tmp_path / "second")
    first, second = map(str, refused.value.problems)
    assert f"a: is of an image of {2 * WIDTH} x {HEIGHT} px, the first detections of" in first
    assert "b: was computed at 0.5 um/px, the first detections at 0.25 um/px" in second
    assert "detect in the same image with both models" in first


def test_the_pixels_decide_where_labels_are_under_review(folder, tmp_path):
    save_second(tmp_path / "second", height_px=7)
    known = Dataset([Case("a", folder / "a.png", figures=(Figure("1", 5.0, 5.0),))])
    a = open_slides(find_images([folder]), labels=known, mpp=MPP)[0]
    with pytest.raises(DetectionsError, match=rf"{WIDTH} x 7 px, the slide of {WIDTH} x {HEIGHT}"):
        add_second_detections([a], tmp_path / "second")


def test_a_small_difference_of_resolution_is_no_difference(slides, tmp_path):
    save_second(tmp_path / "second", mpp=1.01 * MPP)
    assert add_second_detections(slides, tmp_path / "second")[0].second is not None


def test_the_same_results_are_not_compared_with_themselves(folder, tmp_path):
    save_detections(found("a.png"), tmp_path / "first" / "a")
    slides = open_slides(find_images([folder]), detections=tmp_path / "first", mpp=MPP)
    (tmp_path / "link").symlink_to(tmp_path / "first")
    for again in (tmp_path / "first", tmp_path / "first" / "a", tmp_path / "link"):
        with pytest.raises(DetectionsError, match="compared with themselves"):
            add_second_detections(slides, again)


def test_what_has_no_detections_is_refused(slides, tmp_path):
    with pytest.raises(DetectionsError, match="does not exist"):
        add_second_detections(slides, tmp_path / "none")
    with pytest.raises(DetectionsError, match=r"is a model, not detections.*--model compact"):
        add_second_detections(slides, "compact")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "card.json").write_text("{}")
    with pytest.raises(DetectionsError, match="is a model, not detections"):
        add_second_detections(slides, tmp_path / "model")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DetectionsError, match="holds no detections"):
        add_second_detections(slides, tmp_path / "empty")
    save_second(tmp_path / "else", "c.png")
    with pytest.raises(DetectionsError, match="none of the 2 opened slides"):
        add_second_detections(slides, tmp_path / "else")
