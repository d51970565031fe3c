"""Contact sheets hold every mistake once, in order, with the pixels of its place."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image, ImageFont

from metaphase.evaluation.evaluate import evaluate
from metaphase.labels.dataset import Dataset
from metaphase.report.sheet import (
    COLUMNS,
    CSV_NAME,
    ROWS,
    SHOWN_PX,
    caption,
    fitted,
    sheets,
    write_sheets,
)
from tests.evaluation.scenes import case, found, random_scene


@pytest.fixture
def dataset(tmp_path):
    """Grey, with a dark square where the first figure is."""
    pixels = np.full((400, 500, 3), 200, np.uint8)
    pixels[140:160, 290:310] = 20
    Image.fromarray(pixels).save(tmp_path / "a.png")
    figures = [(300, 150), (100, 300), (450, 350)]
    return Dataset([case("a", figures, image=tmp_path / "a.png")])


@pytest.fixture
def detections():
    # Found, false, twice found, and below the threshold at the second figure.
    places = [(300, 150), (40, 40), (304, 150), (103, 300)]
    return {"a": found("a", places, [0.9, 0.8, 0.7, 0.4])}


def test_every_mistake_is_on_a_sheet_with_its_caption(dataset, detections):
    false, missed, border, confident = sheets(evaluate(detections, dataset))
    assert [(item.place.x_px, item.score) for item in false.items] == [(40, 0.8), (304, 0.7)]
    assert caption(false.items[1]) == (
        *("a", "304, 150  score 0.70"),
        *("nearest figure 1.0 um", "double"),
    )
    assert [(item.place.x_px, item.score) for item in missed.items] == [(100, 0.4), (450, None)]
    assert caption(missed.items[0])[1:] == ("100, 300  best score 0.40", "nearest detection 0.8 um")
    assert caption(missed.items[1])[1] == "450, 350  no score near it"
    assert [item.place.x_px for item in border.items] == [300]
    assert border.items == confident.items


@pytest.mark.parametrize(
    "text", ["W" * 60, "123456, 123456  best score 0.99", "labelled hard negative"]
)
def test_a_line_of_a_caption_stays_below_its_picture(text):
    font = ImageFont.load_default(11)
    assert font.getlength(fitted(text, font)) <= SHOWN_PX + 14
    assert fitted("case", font) == "case"
    assert fitted("W" * 60, font).startswith("...W")


def test_counts_and_order_agree_with_the_scores():
    dataset, detections = random_scene(5)
    scores = evaluate(detections, dataset)
    false, missed, border, confident = sheets(scores, most_true=7)
    counts = scores.overall.counts
    assert (len(false.items), len(missed.items)) == (counts.fp, counts.fn)
    assert len(border.items) == len(confident.items) == 7
    for falling in (false, confident):
        values = [item.score for item in falling.items]
        assert values == sorted(values, reverse=True)
    assert border.items[0].score == min(o.score[o.true_positive].min() for o in scores.outcomes)


def test_pages_and_list_are_written(dataset, detections, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "confident-9.png").write_bytes(b"of an earlier call")
    files, problems = write_sheets(evaluate(detections, dataset), tmp_path / "out")
    assert problems == []
    names = ["false-positives-1", "false-negatives-1", "borderline-1", "confident-1"]
    assert [file.name for file in files] == [*(f"{name}.png" for name in names), CSV_NAME]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        file.name for file in files
    )
    page = np.asarray(Image.open(tmp_path / "out" / "confident-1.png").convert("L"), float)
    # 20 px of the square at 0.25 um/px, shown twice as large, in the middle of its picture.
    ys, xs = np.nonzero(page[36 : 36 + SHOWN_PX - 4, 20:130] < 60)
    assert len(xs) == pytest.approx(40 * 40, rel=0.1)
    assert (xs.mean() + 20, ys.mean() + 36) == pytest.approx((10 + 63.5, 34 + 63.5), abs=1)
    with (tmp_path / "out" / CSV_NAME).open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["kind"] for row in rows] == ["fp", "fp", "fn", "fn", "tp", "tp"]
    assert rows[1]["on"] == "double"
    assert rows[3]["score"] == ""


def test_many_mistakes_take_several_pages(dataset, tmp_path):
    n = COLUMNS * ROWS + 3
    places = np.column_stack([np.full(n, 30.0), np.linspace(0, 390, n)])
    scores = evaluate({"a": found("a", places, np.linspace(0.6, 0.9, n))}, dataset)
    files, _ = write_sheets(scores, tmp_path / "out")
    pages = [file.name for file in files if file.name.startswith("false-positives")]
    assert pages == ["false-positives-1.png", "false-positives-2.png"]


def test_nothing_false_and_no_pixels(tmp_path):
    dataset = Dataset([case("a", [(9, 9)])])
    scores = evaluate({"a": found("a", [(9, 9)], [0.9])}, dataset)
    files, problems = write_sheets(scores, tmp_path)
    assert [file.name for file in files] == ["borderline-1.png", "confident-1.png", CSV_NAME]
    assert "is missing" in problems[0]
