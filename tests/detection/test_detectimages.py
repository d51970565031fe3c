"""Many images with one call: the same files as the command, skipped when finished."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import metaphase
from tests.detection.scenes import DotRuntime, DotSlide, make_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dots = [(60, 50), (200, 150), (290, 30)]
    images = tmp_path / "in"
    images.mkdir()
    for number, name in enumerate("abc"):
        pixels = DotSlide(320, 200, 0.25, dots[: number + 1]).read(0, 0, 320, 200)
        Image.fromarray(pixels).save(images / f"{name}.png")
    return images


def test_a_folder_of_images_is_done_and_then_skipped(folder: Path, tmp_path: Path) -> None:
    model = make_model()
    runtime, out = DotRuntime(model.card.head), tmp_path / "out"
    ended: list[str] = []

    def go(**options: bool) -> list[str]:
        outcomes = metaphase.detect_images(
            str(folder),
            str(out),
            model,
            mpp=0.25,
            runtime=runtime,
            on_finished=lambda outcome: ended.append(outcome.job.name),
            **options,
        )
        return [outcome.status for outcome in outcomes]

    assert go() == ["done"] * 3
    assert ended == ["a", "b", "c"]
    assert len(metaphase.load_detections(out / "c").above_threshold()) == 3
    assert (out / "a" / "overlay.png").is_file()
    assert go() == ["skipped"] * 3
    assert go(overwrite=True, overlay=False) == ["done"] * 3


def test_a_data_set_and_a_list_of_paths(folder: Path, tmp_path: Path) -> None:
    model = make_model()
    runtime = DotRuntime(model.card.head)
    cases = [metaphase.Case("b", image=folder / "b.png", mpp=0.25)]
    (one,) = metaphase.detect_images(
        metaphase.Dataset(cases), tmp_path / "set", model, runtime=runtime
    )
    assert (one.job.name, one.figures) == ("b", 2)
    paths = [folder / "a.png", folder / "missing.png"]
    outcomes = metaphase.detect_images(paths, tmp_path / "list", model, mpp=0.25, runtime=runtime)
    assert [outcome.status for outcome in outcomes] == ["done", "failed"]
    assert "missing.png" in (tmp_path / "list" / "failures.csv").read_text()
