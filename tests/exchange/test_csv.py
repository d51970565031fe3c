from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metaphase.errors import DetectionsError
from metaphase.exchange import csv
from metaphase.exchange.importedfile import ImageFacts
from metaphase.exchange.read import read_detections
from metaphase.figures import Detections, Label
from metaphase.provenance import Provenance


def write(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "d.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_measurement_table_of_qupath(tmp_path: Path, encoding: str) -> None:
    text = (
        "Image\tObject ID\tObject type\tName\tClassification\tCentroid X µm\tCentroid Y µm\t"
        "Detection probability\na.svs\tu1\tAnnotation\tfigure 7\tMitosis\t10\t20.5\t0.8\n"
        "a.svs\tu2\tAnnotation\t\tIgnore*\t1\t2\t0.1\n"
    )
    (one,) = csv.read(write(tmp_path, text, encoding), ImageFacts(0.5)).values()
    assert one.points.tolist() == [[20, 41]]
    assert one.score.tolist() == [0.8]


def test_european_tables(tmp_path: Path) -> None:
    text = "sep=;\nimage;x_px;y_px;probability;class\na.svs;1.010,5;20,25;0,75;non-mitotic\n"
    assert csv.looks_like(text)
    (one,) = csv.read(write(tmp_path, text), ImageFacts(0.25)).values()
    assert one.points.tolist() == [[1010.5, 20.25]]
    assert (one.score.tolist(), one.labels) == ([0.75], [Label.HARD_NEGATIVE])


def test_an_empty_cell_in_a_column_of_labels_is_no_figure(tmp_path: Path) -> None:
    path = write(tmp_path, "image,x,y,class\na.png,1,2,\n")
    with pytest.raises(DetectionsError, match="line 2: has no label"):
        csv.read(path, ImageFacts(0.25))
    (one,) = csv.read(write(tmp_path, "image,x,y\na.png,1,2\n"), ImageFacts(0.25)).values()
    assert one.labels == [Label.MITOTIC]


@pytest.mark.parametrize("text", ["sep=|\nx_px|y_px\n", "x_px\ty_px\n", "Centroid X \u03bcm;y\n"])
def test_headers_are_recognised(text: str) -> None:
    assert csv.looks_like(text)


def test_images_of_one_name_in_two_folders(tmp_path: Path) -> None:
    text = "image,x,y\npatient1/01.png,1,2\npatient2/01.png,3,4\n"
    read = csv.read(write(tmp_path, text), ImageFacts(0.25))
    assert {name: one.points.tolist() for name, one in read.items()} == {
        "patient1/01": [[1, 2]],
        "patient2/01": [[3, 4]],
    }


def test_names_come_back_whatever_is_in_them(tmp_path: Path) -> None:
    names = ['a,"b".png', "line\nend.png", "[bold]x {0} 50%.png", "=1+1.png", "'=x.png", "-2.png"]
    made = {
        name: Detections([1], [2], [0.5], provenance=Provenance(name, 9, 9, 0.25)) for name in names
    }
    csv.write(made, tmp_path / "d.csv")
    assert "\n=1" not in (tmp_path / "d.csv").read_text()
    read = csv.read(tmp_path / "d.csv")
    assert [one.provenance.image for one in read.values()] == names


def test_doubtful_classes_and_long_fields_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DetectionsError, match="line 2: has no label"):
        csv.read(write(tmp_path, "x,y,class\n1,2,Mitosis?\n"), ImageFacts(0.25))
    with pytest.raises(DetectionsError, match="line 2: is not CSV"):
        csv.read(write(tmp_path, "x,y\n1," + "9" * 140_000), ImageFacts(0.25))


def test_probabilities_of_atypical_are_written_and_read(tmp_path: Path) -> None:
    made = Provenance("a.png", 100, 100, 0.25, threshold=0.5)
    found = Detections([1, 2], [3, 4], [0.9, 0.5], provenance=made, atypical=[0.25, float("nan")])
    empty = Detections.empty(Provenance("b.png", 100, 100, 0.25))
    csv.write({"a": found, "b": empty}, tmp_path / "d.csv")
    again = csv.read(tmp_path / "d.csv")
    np.testing.assert_array_equal(again["a"].atypical_or_nan, [0.25, np.nan])
    assert again["b"].atypical is None
    csv.write({"b": empty}, tmp_path / "e.csv")
    assert "atypical" not in (tmp_path / "e.csv").read_text()


def test_a_class_says_that_a_figure_is_atypical(tmp_path: Path) -> None:
    text = "image,x,y,label\na.png,1,2,atypical mitotic figure\na.png,3,4,hard negative\n"
    (one,) = csv.read(write(tmp_path, text), ImageFacts(0.25)).values()
    np.testing.assert_array_equal(one.atypical_or_nan, [1.0, np.nan])
    with pytest.raises(DetectionsError, match="atypical"):
        csv.read(write(tmp_path, "image,x,y,atypical\na.png,1,2,7\n"), ImageFacts(0.25))


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8"])
def test_the_kind_of_a_table_is_recognised_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    text = "Image;Class;Centroid X µm;Centroid Y µm\na.svs;Mitosis;10,5;20\n"
    path = write(tmp_path, text, encoding)
    assert read_detections(path, mpp=0.25)["a"].x_px.tolist() == [42.0]


def test_two_columns_of_one_name_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x_px,X_px,y_px,note,note\n1,2,3,a,b\n")
    with pytest.raises(DetectionsError, match=r"line 1: has two columns called x_px"):
        read_detections(path, mpp=0.25)
    path.write_text("x_px,y_px,note,note\n1,3,a,b\n")
    assert read_detections(path, mpp=0.25)["a"].x_px.tolist() == [1.0]


def test_positions_outside_of_an_image_of_known_size_are_an_error(tmp_path: Path) -> None:
    head = "image,x_px,y_px,score,width_px,height_px\n"
    path = write(tmp_path, head + "a.svs,900,400,1,1000,800\na.svs,9000,400,1,1000,800\n")
    said = r"a\.svs: 1 of 2 detections lie outside of the image of 1000 x 800 px, such as 9000, 400"
    with pytest.raises(DetectionsError, match=said):
        read_detections(path, mpp=0.25)
    with pytest.raises(DetectionsError, match="outside"):
        read_detections(write(tmp_path, "x_px,y_px\n5,-900\n"), mpp=0.25, image_size=(1000, 800))


def test_a_figure_at_the_border_may_have_its_centre_outside(tmp_path: Path) -> None:
    path = write(tmp_path, "x_px,y_px\n-20,5\n1020,5\n")
    (one,) = read_detections(path, mpp=0.25, image_size=(1000, 800)).values()
    assert len(one) == 2
    assert len(read_detections(write(tmp_path, "x_px,y_px\n1e6,5\n"), mpp=0.25)) == 1
