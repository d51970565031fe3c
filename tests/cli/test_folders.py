"""Commands refuse a folder for results that another command writes to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metaphase.cli.configfile import all_commands
from metaphase.detectionfile import save_detections
from metaphase.figures import Detections
from metaphase.labels.read import load_dataset
from metaphase.labels.sample import write_sample
from metaphase.locks import locked_folder
from metaphase.provenance import Provenance

CALLS = {
    "sample": ["--out", "o"],
    "phantom": ["--out", "o", "--size", "128", "--cases-per-scanner", "1", "--only-scanner", "A"],
    "data convert": ["sample", "--out", "o"],
    "data download": ["midog21", "--out", "o", "--api", "http://127.0.0.1:9/"],
    "detect": ["a.png", "--mpp", "0.25", "--out", "o"],
    "count": ["found", "--out", "o"],
    "compare": ["found", "found", "--labels", "sample", "--out", "o"],
    "sheet": ["found", "--labels", "sample", "--out", "o", "--allow-missing"],
    "export": ["--weights", "packed", "--out", "o"],
    "view": ["a.png", "--mpp", "0.25", "--export", "o"],
    "demo": ["--out", "o"],
    "stress": ["--labels", "sample", "--out", "o"],
    "learn start": ["a.png", "--mpp", "0.25", "--out", "o"],
    "adapt": ["a.png", "--mpp", "0.25", "--out", "o"],
    "import": [
        "theirs.onnx",
        "--kind",
        "yolo",
        "--mpp",
        "0.25",
        "--tile",
        "256",
        "--classes",
        "MF,*",
        "--out",
        "o",
    ],
}
OTHERS = {
    "train": "tests/training/test_train.py",
    "cross-validate": "tests/training/folds/test_crossvalidation.py",
    "container": "tests/exchange/test_container.py",
}
"""Commands that are tested elsewhere: they need a recipe with its data, or an absent folder."""
NEEDS = {"adapt": "torch", "import": "onnx", "learn start": "torch"}
ONE_FILE = {
    *("recipes", "card", "evaluate", "report", "config", "doctor", "exchange convert"),
    *("data check", "data show", "data split", "learn review", "learn train", "learn status"),
}
"""Commands that write one file, whole or not at all, or into a folder that they lock elsewhere."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_sample("sample")
    Image.fromarray(np.full((90, 100, 3), 200, np.uint8)).save("a.png")
    for case in load_dataset("sample"):
        made_by = Provenance(f"{case.id}.jpg", 1360, 1024, 0.25, threshold=0.5)
        save_detections(Detections([1], [2], [0.9], provenance=made_by), Path("found", case.id))
    return tmp_path


def test_every_command_is_listed() -> None:
    assert {" ".join(words) for words, _ in all_commands()} == {*CALLS, *OTHERS, *ONE_FILE}


@pytest.mark.parametrize("name", CALLS)
def test_a_folder_in_use_is_refused(place: Path, name: str, command) -> None:
    pytest.importorskip(NEEDS.get(name, "metaphase"))
    if name == "import":
        from tests.detection.foreign import graphs

        graphs.yolo(place / "theirs.onnx", side=256, classes=2)
    with locked_folder("o"):
        ended = command(*name.split(), *CALLS[name])
    assert ended.code == 2
    assert "another command writes to it" in ended.words
    assert list((place / "o").iterdir()) == []
