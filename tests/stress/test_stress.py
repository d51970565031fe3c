from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from metaphase.cli import main
from metaphase.errors import InputError, LabelError
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.read import load_dataset
from metaphase.slides.open import open_slide
from metaphase.stress import stress as work
from metaphase.stress.perturbations import MPP_ERROR, SWEEPS, Changed
from tests.models.tiny import save_tiny
from tests.stain.images import tissue
from tests.training.dots import write_dots

BY_NAME = {sweep.name: sweep for sweep in SWEEPS}


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda s: s.name)
def test_the_neutral_level_is_swept_and_changes_nothing(sweep) -> None:  # type: ignore[no-untyped-def]
    assert sweep.neutral in sweep.levels
    assert sweep.shift(sweep.neutral) == 0
    if sweep.change is not None:
        image = tissue(1)
        same = sweep.change(image, sweep.neutral)
        assert np.abs(same.astype(int) - image).max() <= 1
        assert np.abs(sweep.change(image, sweep.levels[-1]).astype(int) - image).max() > 5


@given(st.floats(0.01, 0.6))
def test_ends_lie_as_far_as_scanners_do(shift: float) -> None:
    for sweep in SWEEPS:
        assert [sweep.shift(end) for end in sweep.ends(shift)] == pytest.approx([shift, shift])
        assert len(sweep.reaching(shift).levels) >= len(sweep.levels)
    assert BY_NAME["hue"].reaching(None) is BY_NAME["hue"]


def test_changes_are_of_the_size_they_say() -> None:
    image = tissue(1)
    brighter = BY_NAME["brightness"].change(image, 1.1)  # type: ignore[misc]
    assert brighter.mean() == pytest.approx(1.1 * image.mean(), rel=0.02)
    grey = BY_NAME["saturation"].change(image, 0.0)  # type: ignore[misc]
    assert np.ptp(grey.astype(int), axis=2).max() <= 2


def test_a_changed_slide_is_read_like_any_other(tmp_path: Path) -> None:
    Image.fromarray(tissue(1)).save(tmp_path / "t.png")
    with open_slide(tmp_path / "t.png", mpp=0.25) as slide:
        changed = Changed(slide, lambda pixels: 255 - pixels, 0.3)
        assert changed.mpp == 0.3
        assert np.array_equal(changed.read(5, 7, 20, 10), 255 - slide.read(5, 7, 20, 10))
        assert changed.read(-4, 0, 8, 8)[:, :4].min() == 255
        assert changed.read(0, 0, 10, 10, 0.6).shape == (10, 10, 3)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    labels = write_dots(tmp_path / "data", cases=2)
    model = save_tiny(tmp_path / "model")
    return labels, model, tmp_path / "out"


def test_a_sweep_is_written_and_goes_on(scene) -> None:  # type: ignore[no-untyped-def]
    labels, model, out = scene
    dataset = load_dataset(labels)
    sweeps = [BY_NAME["brightness"], BY_NAME[MPP_ERROR]]
    shifts = {"brightness": 0.2}
    done: list[int] = []
    points = work.stress(
        model,
        dataset,
        out,
        sweeps=sweeps,
        shifts=shifts,
        progress=lambda w, d, t: done.append(d),
    )
    assert done[-1] == len(points)
    same = {(p.f1, p.count) for p in points if p.shift == 0}
    assert len(same) == 1, "nothing is changed at the neutral level of either sweep"
    ends = [p.level for p in points if p.within and p.sweep == "brightness"]
    assert ends[0] == pytest.approx(np.exp(-0.2), rel=1e-3)
    assert ends[-1] == pytest.approx(np.exp(0.2), rel=1e-3)
    assert all(p.within is None for p in points if p.sweep == MPP_ERROR)
    assert all(p.labelled == 16 for p in points)
    with (out / work.CSV_NAME).open() as stream:
        assert len(list(csv.DictReader(stream))) == len(points)
    result = json.loads((out / work.STRESS_NAME).read_text())
    assert result["largest_fall_within_real_shifts"][MPP_ERROR] is None

    class Never:
        name = "never"

        def run(self, tiles: object) -> list[np.ndarray]:
            raise AssertionError("it was looked at already")

    again = work.stress(model, dataset, out, sweeps=sweeps, shifts=shifts, runtime=Never())
    assert again == points


def test_the_fall_is_that_within_the_scanners_differences() -> None:
    def point(level: float, f1: float | None, within: bool) -> work.Point:
        return work.Point("hue", level, "", abs(level), within, f1, None, None, 0, 0)

    points = [point(0, 0.8, True), point(10, 0.7, True), point(30, 0.1, False)]
    assert work.largest_fall(points, ["hue"]) == pytest.approx(0.1)
    assert work.largest_fall(points, ["blur"]) is None


def test_unlabelled_cases_cannot_be_scored(scene) -> None:  # type: ignore[no-untyped-def]
    _, model, out = scene
    with pytest.raises(LabelError, match="no labelled cases"):
        work.stress(model, Dataset([Case("u", labelled=False)]), out)


def test_shifts_are_read(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text('{"largest": {"hue": 12.5}}')
    assert work.read_shifts(path) == {"hue": 12.5}
    path.write_text("[]")
    with pytest.raises(InputError, match="no differences"):
        work.read_shifts(path)


def test_the_command(scene, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    labels, model, out = scene
    words = [
        "stress",
        "--model",
        str(model.folder),
        "--labels",
        str(labels),
        "--out",
        str(out),
        "--sweep",
        "blur",
    ]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--only", "case0"])
    assert ended.value.code == 0
    done = capsys.readouterr().out
    assert done.startswith("blur: F1 0: ")
    assert done.strip().endswith("stress.html")
    with pytest.raises(SystemExit) as ended:
        main([*words, "--sweep", "magic"])
    assert ended.value.code == 2
