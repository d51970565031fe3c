"""The study of scanner filters, on two small fields that two made-up scanners saw."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studies.scanner_filters import FIRST, SECOND, main, pairs

from metaphase.training.patches.scannerfilters import load_filters
from tests.training.patches.test_scannerfilters import second_scanner, tissue

MPP = {FIRST: 0.25, SECOND: 0.2}
SIDE = 360
SLIDES = ("A00", "A01")


def write(folder: Path, letter: str, fields: list[np.ndarray], mpp: float) -> None:
    """Write a data set as the public ones are: one field of each slide."""
    (folder / "images").mkdir(parents=True)
    images = []
    for number, (slide, pixels) in enumerate(zip(SLIDES, fields, strict=True)):
        name = f"{letter}{slide[1:]}_01.png"
        Image.fromarray(pixels).save(folder / "images" / name)
        height, width = pixels.shape[:2]
        images.append(
            {
                "id": number,
                "file_name": name,
                "width": width,
                "height": height,
                "slide": slide,
                "scanner": letter,
                "mpp": mpp,
            }
        )
    categories = [{"id": 1, "name": "mitotic figure"}]
    box = {"id": 1, "image_id": 0, "category_id": 1, "bbox": [10, 10, 50, 50]}
    labels = {"images": images, "categories": categories, "annotations": [box]}
    labels["info"] = {"description": "made up", "bbox": "COCO xywh"}
    (folder / "annotations.json").write_text(json.dumps(labels))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    first = [tissue(seed, SIDE) for seed in range(2)]
    larger = round(SIDE * MPP[FIRST] / MPP[SECOND])
    second = [
        np.asarray(
            Image.fromarray(second_scanner(field)).resize(
                (larger, larger), Image.Resampling.BICUBIC
            )
        )
        for field in first
    ]
    write(tmp_path / FIRST, "A", first, MPP[FIRST])
    write(tmp_path / SECOND, "H", second, MPP[SECOND])
    return tmp_path


def test_pairs_show_the_same_tissue_at_one_resolution(data: Path) -> None:
    found = list(pairs(data))
    assert [slide for slide, _, _ in found] == list(SLIDES)
    for number, (_, first, second) in enumerate(found):
        assert np.array_equal(first, tissue(number, SIDE))
        assert second.shape == first.shape
        expected = second_scanner(first).astype(float)
        assert np.abs(second - expected)[8:-8, 8:-8].mean() < 6


def test_a_field_without_a_partner_is_told(data: Path) -> None:
    path = data / FIRST / "annotations.json"
    labels = json.loads(path.read_text())
    labels["images"] = labels["images"][:1]
    path.write_text(json.dumps(labels))
    with pytest.raises(KeyError, match="A01_01"):
        list(pairs(data))


def test_the_command_writes_filters_and_prints_their_correlations(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = data / "filters.npz"
    monkeypatch.setenv("METAPHASE_DATA", str(data))
    monkeypatch.setattr(sys, "argv", ["scanner_filters", str(out)])
    main()
    filters = load_filters(out)
    assert set(filters.group) == set(SLIDES)
    assert filters.correlation.min() > 0.9
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("slide")
    assert [line.split()[0] for line in lines[1:]] == [*SLIDES, "all"]
    counts = [int(line.split()[1]) for line in lines[1:]]
    assert counts[-1] == sum(counts[:-1]) == len(filters)
