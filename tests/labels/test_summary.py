from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.read import load_dataset
from metaphase.labels.summary import (
    CASE_LIST_COLUMNS,
    Counts,
    case_list,
    count,
    counts,
    known_domains,
)
from tests.labels.files import image, mark, write_coco

MARKS = [mark(1, 1, [595, 299, 30, 40]), mark(2, 1, [700, 300, 30, 40], 2)]
IMAGES = [
    image(1, "a.png", scanner="Aperio CS2"),
    image(2, "b.png", scanner="Aperio CS2", mpp=0.25),
    image(3, "c.png", labelled=False),
]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write_coco(tmp_path / "annotations.json", IMAGES, MARKS)


def test_counts_by_scanner_and_mpp(labels: Path) -> None:
    dataset = load_dataset(labels)
    assert counts(dataset, "scanner") == [
        Counts("Aperio CS2", 2, 2, 1, 1, 1),
        Counts("unknown", 1, 0, 0, 0, 0),
    ]
    assert [row.value for row in counts(dataset, "mpp")] == [
        "0.2533 (scanner)",
        "0.25 (labels)",
        "unknown",
    ]
    assert count(dataset) == Counts("all", 3, 2, 1, 1, 1)
    assert known_domains(dataset) == ["scanner"]
    with pytest.raises(ValueError, match="domain"):
        counts(dataset, "colour")


def test_the_case_list_has_an_empty_cell_where_nothing_is_known() -> None:
    (row,) = case_list(Dataset([Case("a", labelled=False, mpp=0.25)]))
    assert dict(zip(CASE_LIST_COLUMNS, row, strict=True)) == {
        "id": "a", "labelled": "no", "mitotic": "0", "hard_negative": "0", "scanner": "",
        "tumour": "", "mpp": "0.25", "group": "", "image": "",
    }  # fmt: skip
