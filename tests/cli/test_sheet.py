"""``metaphase sheet``: contact sheets from the command line."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from metaphase.detectionfile import save_detections
from tests.evaluation.scenes import found


@pytest.fixture
def words(tmp_path):
    """Detections: one right, two false (one of them twice), one right below the threshold."""
    Image.fromarray(np.full((400, 500, 3), 200, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("case,x_px,y_px\na.png,300,150\na.png,100,300\n")
    places = [(300, 150), (40, 40), (304, 150), (103, 300)]
    save_detections(found("a", places, [0.9, 0.8, 0.7, 0.4]), tmp_path / "found" / "a")
    labels = ("--labels", tmp_path / "labels.csv", "--images", tmp_path)
    return tmp_path / "found", "--out", tmp_path / "out", *labels


def test_counts_and_files_are_printed(command, words, tmp_path):
    ended = command("sheet", *words)
    assert ended.code == 0, ended.err
    counts, *files = ended.out.splitlines()
    assert counts == "1 found, 2 false, 1 missed in 1 cases"
    assert {str(path) for path in (tmp_path / "out").iterdir()} == set(files)
    assert str(tmp_path / "out" / "sheet.csv") in files


def test_a_threshold_and_the_number_of_true_positives(command, words, tmp_path):
    ended = command("sheet", *words, "--threshold", 0.3, "--true-positives", 1)
    assert ended.out.startswith("2 found, 2 false, 0 missed")
    rows = (tmp_path / "out" / "sheet.csv").read_text().splitlines()
    assert sum(",tp," in row for row in rows) == 2  # one on each sheet of true positives
    old = command("sheet", *words, "--true", 1)
    assert old.code == 0
    assert "use --true-positives" in old.words


def test_images_that_are_gone_are_named(command, words, tmp_path):
    (tmp_path / "a.png").unlink()
    ended = command("sheet", *words)
    assert ended.code == 0
    assert "is missing" in ended.words


def test_errors_exit_with_2(command, words, tmp_path):
    detections, *_ = words
    unnamed = command("sheet", detections)
    assert unnamed.code == 2
    assert "name the labels with --labels" in unnamed.words
    useless = command("sheet", detections, "--allow-missing")
    assert useless.code == 2
    assert "--allow-missing has no effect without --labels" in useless.words
    (tmp_path / "labels.csv").write_text("case,x_px,y_px\na.png,300,150\nb.png,1,1\n")
    missing = command("sheet", *words)
    assert missing.code == 2
    assert "has no detections" in missing.words
    assert command("sheet", *words, "--allow-missing").out.startswith("1 found, 2 false, 0 missed")
