"""The bundled sample: whole, small, licensed, and read by everything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import metaphase
from metaphase.labels.sample import FOLDER, write_sample


def test_the_sample_is_a_labelled_data_set(tmp_path: Path) -> None:
    labels = write_sample(tmp_path / "sample")
    dataset = metaphase.load_dataset(labels.parent)
    assert len(dataset) == 3
    assert dataset.count() == 9
    assert dataset.count(metaphase.Label.HARD_NEGATIVE) == 5
    for case in dataset:
        assert case.mpp == 0.25
        assert case.image is not None
        with Image.open(case.image) as image:
            assert image.size == (1360, 1024)
    write_sample(tmp_path / "sample")  # again, over the same files


def test_its_licence_is_beside_it_and_it_is_small(tmp_path: Path) -> None:
    folder = write_sample(tmp_path).parent
    text = (folder / "LICENCE.txt").read_text()
    assert "CC BY 4.0" in text
    assert "Aksac" in text
    assert sum(p.stat().st_size for p in FOLDER.rglob("*") if p.is_file()) < 1_500_000
    assert "licence" in json.loads((folder / "annotations.json").read_text())["info"]


def test_a_folder_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(metaphase.InputError, match="file"):
        write_sample(tmp_path / "file")
