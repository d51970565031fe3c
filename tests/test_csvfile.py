from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.csvfile import CsvTable, csv_text, escaped, unescaped
from metaphase.errors import DetectionsError
from tests.house.imports import modules, name_of


def table(tmp_path: Path, text: str | bytes) -> CsvTable:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return CsvTable(path, DetectionsError)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_are_recognised_by_the_header(tmp_path: Path, separator: str) -> None:
    found = table(tmp_path, f'a{separator}"b,;"\r\n1{separator}2\r\n\r\n')
    assert found.columns == ("a", "b,;")
    assert list(found) == [(2, ["1", "2"])]


def test_a_first_line_may_name_the_separator(tmp_path: Path) -> None:
    found = table(tmp_path, "sep=;\na;b\n1,5;2\n")
    assert found.columns == ("a", "b")
    assert list(found) == [(3, ["1,5", "2"])]


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-8-sig"])
def test_encodings_of_spreadsheets(tmp_path: Path, encoding: str) -> None:
    found = table(tmp_path, "x µm;y\n1;2\n".encode(encoding))
    assert found.columns == ("x µm", "y")


def test_both_signs_for_micro_are_one(tmp_path: Path) -> None:
    assert table(tmp_path, "x \u03bcm,y \u00b5m\n").columns == ("x \u00b5m", "y \u00b5m")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *[("1,5", "1.5"), ("1.234,5", "1234.5"), ("-,5", "-.5"), ("1.5", "1.5"), ("a,b", "a,b")],
        *[("1 234,5", "1234.5"), ("1\u202f234,5", "1234.5"), ("1'234,5", "1234.5")],
    ],
)
def test_decimal_commas(tmp_path: Path, text: str, number: str) -> None:
    assert table(tmp_path, "a;b\n").number(text) == number
    assert table(tmp_path, "a,b\n").number(text) == text, "there a comma separates columns"


def test_short_rows_are_filled_and_long_ones_are_errors(tmp_path: Path) -> None:
    found = table(tmp_path, "a,b\n1\n1,2,\n1,2,3\n")
    rows = iter(found)
    assert [next(rows), next(rows)] == [(2, ["1", ""]), (3, ["1", "2"])]
    with pytest.raises(DetectionsError, match="line 4: has 3 values for 2 columns"):
        next(rows)


def test_a_field_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DetectionsError, match="line 2: is not CSV: field larger"):
        list(table(tmp_path, "a\n" + "x" * 140_000))


@pytest.mark.parametrize("text", ['a,b\n1,2\n"3,4\n5,6\n', 'a,b\n"1"2,3\n'])
def test_quotes_that_are_not_closed_take_in_no_other_lines(tmp_path: Path, text: str) -> None:
    with pytest.raises(DetectionsError, match="is not CSV"):
        list(table(tmp_path, text))


def test_a_bar_may_be_the_separator(tmp_path: Path) -> None:
    assert list(table(tmp_path, "sep=|\na|b\n1,5|2\n")) == [(3, ["1,5", "2"])]


def test_line_ends_inside_of_quotes_are_kept(tmp_path: Path) -> None:
    assert list(table(tmp_path, 'a,b\n"line\nend",\u2028x\n')) == [(3, ["line\nend", "x"])]


@pytest.mark.parametrize("text", ["=1+1", "+x", "-name", "@x", "\tx", "'=1", "''@x"])
def test_formulas_are_written_as_text(text: str) -> None:
    cell = escaped(text)
    assert cell == f"'{text}"
    assert unescaped(str(cell)) == text


@pytest.mark.parametrize("value", ["-1.5", "+2", "-1e-3", "a=b", "'", "'quoted'", "", -3, 0.5])
def test_numbers_and_other_text_stay(value: object) -> None:
    assert escaped(value) == value
    assert unescaped(str(value)) == str(value)


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")).map(
                str.strip
            ),
            min_size=2,
            max_size=2,
        ).filter(any),
        max_size=6,
    )
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(csv_text(("a", "b"), rows).encode())
    assert [values for _, values in CsvTable(path)] == rows


FORMULAS = ("=1+1", "+x", "-name", "@x")


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_other_module_writes_csv(path: Path) -> None:
    """So that the rule about formulas holds for every table, whoever writes it."""
    if name_of(path) == "csvfile.py":
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for a in n.names}
    assert not {"writer", "DictWriter", "writerow", "writerows"} & (names | imported)


def cells(path: Path) -> set[str]:
    import csv

    with path.open(encoding="utf-8", newline="") as stream:
        return {cell for row in csv.reader(stream) for cell in row}


@pytest.mark.parametrize("name", FORMULAS)
def test_names_are_escaped_in_every_table(name: str, tmp_path: Path) -> None:
    from metaphase.detection.failures import FailureTable
    from metaphase.detection.inputs import Job
    from metaphase.exchange import csv as detections_csv
    from metaphase.figures import Detections, Figure, Label
    from metaphase.labels.dataset import Case, Dataset
    from metaphase.labels.formats.table import save_table
    from metaphase.labels.read import load_dataset
    from metaphase.provenance import Provenance

    image = f"{name}.png"
    FailureTable(tmp_path / "failures.csv").add(Job(Path(image), name), f"{name} is damaged")
    one = Detections([1.0], [2.0], [0.5], provenance=Provenance(image, 90, 80, 0.25))
    detections_csv.write({name: one}, tmp_path / "all.csv")
    figure = Figure(name, 5, 6, Label.MITOTIC)
    case = Case(name, image=Path(image), scanner=name, tumour=name, figures=(figure,))
    save_table(Dataset([case]), tmp_path / "labels")
    files = sorted(tmp_path.rglob("*.csv"))
    assert len(files) == 4
    for path in files:
        assert any(cell.startswith(f"'{name}") for cell in cells(path)), path
        assert not any(cell.startswith(name) for cell in cells(path)), path
    (read,) = load_dataset(tmp_path / "labels")
    assert (read.id, read.scanner, read.figures[0].id) == (name, name, name)
    assert list(detections_csv.read(tmp_path / "all.csv")) == [name]
