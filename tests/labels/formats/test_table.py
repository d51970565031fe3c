from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import LabelError
from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.formats.table import save_table
from metaphase.labels.read import load_dataset, read_labels

FIGURES = "case,id,x_px,y_px,label\na,1,10,20,mitotic figure\na,2,30,40,hard negative\n"
CASES = (
    "id,labelled,scanner,mpp,width_px,height_px\na,true,aperio cs2,0.25,100,100\nb,no,,,,\nc,,,,,\n"
)


def write(folder: Path, figures: str | None = FIGURES, cases: str | None = CASES) -> Path:
    if cases is not None:
        (folder / "cases.csv").write_text(cases)
    if figures is not None:
        (folder / "figures.csv").write_text(figures)
    return folder / ("figures.csv" if figures is not None else "cases.csv")


def problems(path: Path) -> list[str]:
    return [str(problem) for problem in read_labels(path).problems]


def test_figures_and_cases_come_together(tmp_path: Path) -> None:
    a, b, c = load_dataset(write(tmp_path))
    assert [(f.id, f.x_px, f.y_px, f.label) for f in a.figures] == [
        ("1", 10, 20, Label.MITOTIC),
        ("2", 30, 40, Label.HARD_NEGATIVE),
    ]
    assert (a.scanner, a.mpp, a.width_px, a.height_px) == ("Aperio CS2", 0.25, 100, 100)
    assert not b.labelled
    assert c.labelled
    assert c.figures == ()


def test_either_table_and_their_folder_open_the_same(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert load_dataset(path).cases == load_dataset(tmp_path / "cases.csv").cases
    assert load_dataset(path).cases == load_dataset(tmp_path).cases


def test_the_table_of_cases_may_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, cases=None)
    other = tmp_path / "other.csv"
    other.write_text(CASES)
    assert load_dataset(path, cases=other).ids == ("a", "b", "c")


def test_figures_alone_know_only_their_cases(tmp_path: Path) -> None:
    reading = read_labels(write(tmp_path, cases=None))
    assert reading.dataset().ids == ("a",)
    assert "without figures are not known" in str(reading.notes[0])


def test_images_stand_for_cases(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    path = write(tmp_path, "image,x_px,y_px\na.png,1,2\n", None)
    case = load_dataset(path)["a"]
    assert case.image == tmp_path / "a.png"
    assert case.figures[0].label == Label.MITOTIC, "the label may be left out"


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(tmp_path: Path, separator: str) -> None:
    path = write(tmp_path, FIGURES.replace(",", separator), CASES.replace(",", separator))
    assert load_dataset(path)["a"].count() == 1


def test_boxes_give_points(tmp_path: Path) -> None:
    path = write(tmp_path, "case,x1_px,y1_px,x2_px,y2_px\na,10,20,30,60\n")
    figure = load_dataset(path)["a"].figures[0]
    assert figure.box == (10, 20, 30, 60)
    assert (figure.x_px, figure.y_px) == (20, 40)


def test_unlabelled_cases_need_no_figures(tmp_path: Path) -> None:
    path = write(tmp_path, None, "id,labelled\na,false\n")
    assert not load_dataset(path)["a"].labelled


def test_labelled_cases_without_a_table_of_figures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"no figures\.csv"):
        load_dataset(write(tmp_path, None))


@pytest.mark.parametrize(
    ("figures", "cases", "said"),
    [
        (FIGURES + "z,9,1,1,mitosis\n", CASES, "figures.csv line 4: case 'z' is not in"),
        (FIGURES + ",9,1,1,mitosis\n", CASES, "figures.csv line 4: names no case"),
        (FIGURES + "a,9,x,1,mitosis\n", CASES, "figures.csv line 4: x_px is not a number"),
        (FIGURES + "a,9,,1,mitosis\n", CASES, "figures.csv line 4: has no position in pixels"),
        (FIGURES + "a,9,1,1,\n", CASES, "figures.csv line 4: has no label"),
        (FIGURES + "a,9,1,1,cat\n", CASES, "figures.csv line 4: unknown label 'cat'"),
        (FIGURES + "a,1,1,1,mitosis\n", CASES, "figure 1: its id appears 2 times"),
        (FIGURES + "a,9,101,1,mitosis\n", CASES, "annotation 9: lies outside"),
        (FIGURES + "b,9,1,1,mitosis\n", CASES, "case b: is marked unlabelled but has 1"),
        ("case,x1_px,y1_px,x2_px,y2_px\na,10,20,10,60\n", CASES, "has no area"),
        (FIGURES, CASES + "a,,,,,\n", "case a: appears 2 times"),
        (FIGURES, CASES + "d,perhaps,,,,\n", "cases.csv line 5: labelled is neither"),
        (FIGURES, CASES + "d,,,-1,,\n", "cases.csv line 5: mpp is not a resolution"),
        (FIGURES, CASES + "d,,,,1.5,\n", "cases.csv line 5: width_px is not a number of pixels"),
        (FIGURES, CASES + ",,X,,,\n", "cases.csv line 5: names no case"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, figures: str, cases: str, said: str) -> None:
    found = problems(write(tmp_path, figures, cases))
    assert any(said in text for text in found), found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("case,x_px,y_px\na,1,2,3\n", "line 2: has 4 values for 3 columns"),
        ("case,x_px,y_px,x_px\na,1,2,3\n", "two columns called x_px"),
    ],
)
def test_a_broken_table(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(LabelError, match=said):
        load_dataset(write(tmp_path, text))


number = st.floats(0, 1000)
word = st.one_of(st.none(), st.sampled_from(["x", "a, b", 'with "quotes"', "ümlaut; c"]))


@st.composite
def cases(draw: st.DrawFn) -> Dataset:
    made = []
    for index in range(draw(st.integers(0, 4))):
        labelled = draw(st.booleans())
        places = draw(st.lists(st.tuples(number, number, st.booleans()), max_size=3))
        figures = tuple(
            Figure(
                f"{index}-{i}",
                x,
                y,
                draw(st.sampled_from(list(Label))),
                (x - 3.5, y - 1 / 3, x + 1, y + 1) if boxed else None,
            )
            for i, (x, y, boxed) in enumerate(places)
        )
        made.append(
            Case(
                id=f"s/{index}",
                labelled=labelled,
                figures=figures if labelled else (),
                mpp=draw(st.one_of(st.none(), st.floats(0.1, 1))),
                scanner=draw(word),
                tumour=draw(word),
                group=draw(word),
                species=draw(word),
                laboratory=draw(word),
                width_px=draw(st.one_of(st.none(), st.just(1000))),
                height_px=draw(st.one_of(st.none(), st.just(1000))),
            )
        )
    return Dataset(made)


@given(cases())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, dataset: Dataset
) -> None:
    folder = tmp_path_factory.mktemp("table")
    figures, _ = save_table(dataset, folder)
    assert load_dataset(figures).cases == dataset.cases


@pytest.mark.needs_data
def test_midogpp_survives_conversion(data_dir: Path, tmp_path: Path) -> None:
    dataset = load_dataset(data_dir / "midog" / "MIDOG++.json")
    save_table(dataset, tmp_path)
    assert load_dataset(tmp_path).cases == dataset.cases


QUPATH = (
    "Image\tObject ID\tName\tClassification\tCentroid X µm\tCentroid Y µm\n"
    "a.svs\tu1\t\tMitosis\t10\t20.5\na.svs\tu2\t\tIgnore*\t1\t2\n"
)


def test_a_measurement_table_of_qupath(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text(QUPATH, encoding="utf-8")
    (figure,) = load_dataset(tmp_path / "t.tsv", mpp=0.5)["a"].figures
    assert (figure.id, figure.x_px, figure.y_px) == ("u1", 20, 41)
    with pytest.raises(LabelError, match="give the resolution with --mpp"):
        load_dataset(tmp_path / "t.tsv")
    (tmp_path / "t.tsv").write_text(QUPATH.replace("Ignore*", ""), encoding="utf-8")
    with pytest.raises(LabelError, match="line 3: has no class"):
        load_dataset(tmp_path / "t.tsv", mpp=0.5)


def test_images_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    path = write(tmp_path, "image,x_px,y_px\np1/01.png,1,2\np2/01.png,3,4\n", None)
    dataset = load_dataset(path)
    assert dataset.ids == ("p1/01", "p2/01")
    folder = tmp_path / "again"
    save_table(dataset, folder)
    assert load_dataset(folder).ids == dataset.ids


@pytest.mark.parametrize(
    ("label", "atypical", "expected"),
    [
        ("mitotic figure", "", None),
        ("mitotic figure", "true", 1.0),
        ("mitotic figure", "0.33", 0.33),
        ("atypical mitotic figure", "", 1.0),
        ("atypical mitotic figure", "no", 0.0),
        ("hard negative", "true", None),
    ],
)
def test_figures_may_be_atypical(
    tmp_path: Path, label: str, atypical: str, expected: float | None
) -> None:
    figures = f"case,x_px,y_px,label,atypical\na,1,2,{label},{atypical}\n"
    dataset = load_dataset(write(tmp_path, figures, "id\na\n"))
    assert dataset.cases[0].figures[0].atypical == expected
    save_table(dataset, tmp_path / "again")
    assert load_dataset(tmp_path / "again" / "figures.csv").cases[0].figures[0].atypical == expected
