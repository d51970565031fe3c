"""A loop begins, resumes, grows, and reports what fails."""

from __future__ import annotations

import pytest
from PIL import Image

from metaphase.errors import InputError, InterruptedRunError
from metaphase.learning import start as module
from metaphase.learning.loopfolder import LoopFolder
from metaphase.learning.start import StartOptions, start_loop
from tests.learning.conftest import small_model


def begin(loop, model, *images, **options):
    seen = []
    start_loop(
        images, loop.path, str(model.folder), StartOptions(mpp=0.25, threads=1, **options),
        finished=seen.append,
    )  # fmt: skip
    return {one.image.name: one.status for one in seen}


def test_the_first_proposals_are_of_several_images(begun):
    order = begun.order()
    assert len(order) == 12
    assert len({name for name, _, _ in order}) >= 2


def test_finished_images_are_skipped(loop, model, dots, monkeypatch):
    monkeypatch.setattr(module, "open_runtime", lambda *_, **__: pytest.fail("opened"))
    assert set(begin(loop, model, dots / "images").values()) == {"skipped"}


def test_an_image_may_be_added_and_one_that_fails_stops_no_other(loop, model, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    Image.new("RGB", (200, 200), (230, 200, 220)).save(tmp_path / "empty.png")
    found = begin(loop, model, tmp_path / "bad.png", tmp_path / "empty.png")
    assert found["bad.png"] == "failed"
    assert found["empty.png"] == "done"
    assert len(found) == 5
    assert len(loop.settings().images) == 5


def test_the_model_of_a_loop_stays(loop, dots, tmp_path):
    other = small_model(tmp_path / "other")
    (tmp_path / "other" / "card.json").write_text(
        (tmp_path / "other" / "card.json").read_text().replace('"small"', '"another"')
    )
    with pytest.raises(InputError, match="loop of another model"):
        begin(loop, other, dots / "images")


def test_an_interrupted_start_resumes(tmp_path, model, dots, monkeypatch):
    loop = LoopFolder(tmp_path / "loop")
    real, calls = module.find_slide_candidates, []

    def stop(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(module, "find_slide_candidates", stop)
    with pytest.raises(InterruptedRunError, match="resumes"):
        begin(loop, model, dots / "images", candidates=20)
    assert begin(loop, model, dots / "images", candidates=20) == {
        "case0.png": "skipped",
        "case1.png": "done",
        "case2.png": "done",
    }
