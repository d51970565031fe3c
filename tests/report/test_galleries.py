import base64
import io

import numpy as np
import pytest
from PIL import Image

from metaphase.errors import LabelError
from metaphase.evaluation.evaluate import evaluate
from metaphase.labels.dataset import Dataset
from metaphase.report.galleries import CROP_PX, Pictures, galleries
from tests.evaluation.scenes import case, found


def test_galleries_hold_what_they_say(pictured):
    false, missed, border, true = galleries(pictured)
    assert [(p.x_px, p.kind) for p in false.places[:1]] == [(40, "fp")]
    assert [(p.x_px, p.caption) for p in missed.places] == [(100, "best score near it 0.40")]
    assert [p.x_px for p in true.places] == [300]
    assert {p.kind for p in border.places} == {"tp", "fp", "fn", "none"}
    assert "below" in border.places[-1].caption
    assert all(len(g.places) <= 1 for g in galleries(pictured, most=1))


def test_a_missed_figure_shows_the_best_score_near_it():
    dataset = Dataset([case("a", [(100, 100)])])
    scores = evaluate({"a": found("a", [(105, 100)], [0.31])}, dataset)
    assert galleries(scores)[1].places[0].caption == "best score near it 0.31"


def test_crops_are_centred_on_their_place(pictured):
    place = galleries(pictured)[3].places[0]
    address = Pictures().crops([place])[place]
    data = base64.b64decode(address.split(",")[1])
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"), float)
    assert pixels.shape == (CROP_PX, CROP_PX)
    dark = np.argwhere(pixels < 100)
    assert dark.mean(axis=0) == pytest.approx([CROP_PX / 2 - 0.5] * 2, abs=1)
    assert len(dark) == pytest.approx(400, rel=0.15)


def test_images_that_are_no_folder_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    for wrong in (tmp_path / "absent", tmp_path / "a.png"):
        with pytest.raises(LabelError, match="is not a folder of images"):
            Pictures(wrong)
