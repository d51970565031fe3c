from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.detectionfile import CSV_NAME, JSON_NAME, load_detections, save_detections
from metaphase.errors import DetectionsError
from metaphase.figures import Detections
from metaphase.provenance import Provenance

MADE = Provenance(
    image="a.tif",
    width_px=1000,
    height_px=800,
    mpp=0.25,
    mpp_source="file",
    threshold=0.5,
    parameters={"radius_um": 7.5, "later": [1, 2]},
)

rows = st.lists(
    st.tuples(st.floats(-100, 2e5), st.floats(-100, 2e5), st.floats(0, 1), st.integers(0, 1)),
    max_size=10,
)


@given(rows)
def test_writing_and_reading_gives_the_rounded_rows(
    tmp_path_factory: pytest.TempPathFactory, values: list
) -> None:
    folder = tmp_path_factory.mktemp("found")
    columns = list(zip(*values, strict=True)) if values else [[], [], []]
    found = Detections(*columns, provenance=MADE)
    save_detections(found, folder)
    assert load_detections(folder) == found.rounded()


def test_the_columns_are_the_contract(tmp_path: Path) -> None:
    save_detections(Detections([1.234], [5], [0.25], [1], provenance=MADE), tmp_path)
    lines = (tmp_path / CSV_NAME).read_text().splitlines()
    assert lines == ["x_px,y_px,score,label", "1.23,5.00,0.250000,hard negative"]


def test_the_provenance_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its presence says that the folder is complete, also while an older one is replaced."""
    save_detections(Detections([1], [1], [0.5], provenance=MADE), tmp_path)

    def crash(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("metaphase.detectionfile.write_text", crash)
    with pytest.raises(RuntimeError):
        save_detections(Detections.empty(MADE), tmp_path)
    assert not (tmp_path / JSON_NAME).exists()
    with pytest.raises(DetectionsError, match="metaphase detect"):
        load_detections(tmp_path)


@pytest.mark.parametrize(
    "line", ["1,2,0.5", "1,2,0.5,mitosis", "x,2,0.5,mitotic figure", "1,2,0.5,mitotic figure,9"]
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    save_detections(Detections.empty(MADE), tmp_path)
    with (tmp_path / CSV_NAME).open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(DetectionsError, match="line 2"):
        load_detections(tmp_path)


def test_an_impossible_score_is_refused(tmp_path: Path) -> None:
    save_detections(Detections.empty(MADE), tmp_path)
    (tmp_path / CSV_NAME).write_text("x_px,y_px,score,label\n1,2,1.5,mitotic figure\n")
    with pytest.raises(DetectionsError, match="scores"):
        load_detections(tmp_path)


def test_other_columns_are_refused(tmp_path: Path) -> None:
    save_detections(Detections.empty(MADE), tmp_path)
    (tmp_path / CSV_NAME).write_text("x,y\n")
    with pytest.raises(DetectionsError, match="columns"):
        load_detections(tmp_path)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    save_detections(Detections.empty(MADE), tmp_path)
    (tmp_path / CSV_NAME).unlink()
    with pytest.raises(DetectionsError, match=CSV_NAME):
        load_detections(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"image": "a"}'])
def test_a_damaged_provenance_is_told(tmp_path: Path, text: str) -> None:
    save_detections(Detections.empty(MADE), tmp_path)
    (tmp_path / JSON_NAME).write_text(text)
    with pytest.raises(DetectionsError, match=JSON_NAME):
        load_detections(tmp_path)


def test_fields_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    save_detections(Detections.empty(MADE), tmp_path)
    data = json.loads((tmp_path / JSON_NAME).read_text())
    (tmp_path / JSON_NAME).write_text(json.dumps({**data, "later": 1}))
    assert load_detections(tmp_path).provenance == MADE


@pytest.mark.parametrize(
    "line",
    [
        "1,2,0.5,junk,mitotic figure",
        "1,2,0.5",
        "1,2,nan,mitotic figure",
        "inf,2,0.5,mitotic figure",
        "1,2,0.5,mitosis",
        "#1,2,0.5,mitotic figure",
        ",,,",
        "9" * 400 + ",2,0.5,mitotic figure",
    ],
)
def test_a_wrong_line_among_right_ones_is_an_error(tmp_path: Path, line: str) -> None:
    save_detections(Detections([1.0, 2.0], [1.0, 2.0], [0.9, 0.8], provenance=MADE), tmp_path)
    with (tmp_path / CSV_NAME).open("a") as stream:
        stream.write(f"{line}\n3,3,0.1,hard negative\n")
    with pytest.raises(DetectionsError, match=r"detections\.csv"):
        load_detections(tmp_path)


def test_rows_in_any_order_quoted_or_with_windows_line_ends_are_read(tmp_path: Path) -> None:
    detections = Detections([1.5, 2.5], [1.0, 2.0], [0.25, 0.75], [0, 1], provenance=MADE)
    save_detections(detections, tmp_path)
    header, *rows = (tmp_path / CSV_NAME).read_text().splitlines()
    quoted = [",".join(f'"{cell}"' for cell in row.split(",")) for row in rows]
    for lines, end in (((header, *reversed(rows)), "\n"), ((header, *quoted), "\r\n")):
        (tmp_path / CSV_NAME).write_bytes((end.join(lines) + end).encode())
        assert load_detections(tmp_path) == detections


def test_bytes_that_are_not_text_are_an_error(tmp_path: Path) -> None:
    save_detections(Detections([1.0], [1.0], [0.9], provenance=MADE), tmp_path)
    (tmp_path / CSV_NAME).write_bytes(b"x_px,y_px,score,label\n\xff\xfe,1,1,1\n")
    with pytest.raises(DetectionsError, match=r"detections\.csv"):
        load_detections(tmp_path)


def test_probabilities_of_atypical_are_a_column_where_there_are_some(tmp_path: Path) -> None:
    found = Detections(
        [1, 2], [3, 4], [0.9, 0.5], provenance=MADE, atypical=[0.12346, float("nan")]
    )
    save_detections(found, tmp_path)
    lines = (tmp_path / CSV_NAME).read_text().splitlines()
    assert lines == [
        "x_px,y_px,score,label,atypical",
        "1.00,3.00,0.900000,mitotic figure,0.1235",
        "2.00,4.00,0.500000,mitotic figure,",
    ]
    again = load_detections(tmp_path)
    assert again == found.rounded()
    (tmp_path / CSV_NAME).write_text("\n".join([*lines, " 5,6,0.1,mitotic figure,0.5"]))
    assert load_detections(tmp_path).atypical_or_nan[2] == 0.5
    for wrong in (
        "5,6,0.1,mitotic figure",
        "5,6,0.1,mitotic figure,x",
        "5,6,0.1,mitotic figure,1,1",
    ):
        (tmp_path / CSV_NAME).write_text("\n".join([*lines, wrong]))
        with pytest.raises(DetectionsError, match="line 4"):
            load_detections(tmp_path)
    (tmp_path / CSV_NAME).write_text("\n".join([*lines, "5,6,0.1,mitotic figure,2"]))
    with pytest.raises(DetectionsError, match="atypical"):
        load_detections(tmp_path)
