import csv
import io
import json

import numpy as np
from rich.console import Console

from metaphase.counting.batch import CountedSlide
from metaphase.counting.count import count_slide
from metaphase.counting.interval import Validation
from metaphase.counting.tables import (
    COLUMNS,
    density_csv,
    print_counts,
    row_of,
    write_counts,
)
from metaphase.figures import Detections
from metaphase.provenance import Provenance

SHIFT = {
    "ratio": 9.0,
    "component": "stain",
    "nearest": "Aperio XT",
    "training_images": 28,
    "shifted": True,
}


def found(n=12, **parameters):
    step = np.arange(n) * 50.0 + 4000
    provenance = Provenance("a.tiff", 10_000, 10_000, 0.25, threshold=0.5, parameters=parameters)
    return Detections(step, step, np.full(n, 0.8), provenance=provenance)


def counted(name="a", labelled=None, **parameters):
    detections = found(**parameters)
    return CountedSlide(name, count_slide(detections, validation=Validation(80, 20, 20)), labelled)


def test_the_files_hold_every_column(tmp_path):
    write_counts([counted(), counted("b", 7, domain_shift=SHIFT)], tmp_path)
    with (tmp_path / "counts.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["score"], rows[0]["domain_shift"], rows[0]["warnings"]) == ("2", "", "")
    assert (rows[1]["score"], rows[1]["domain_shift"], rows[1]["labelled"]) == ("", "9.0", "7")
    assert "differs from the training images" in rows[1]["warnings"]
    assert "No mitotic score" in rows[1]["notes"]
    assert json.loads((tmp_path / "counts.json").read_text())[1]["domain_shift"] == 9.0


def test_an_empty_table_is_a_table(tmp_path):
    write_counts([], tmp_path)
    assert (tmp_path / "counts.csv").read_text() == ",".join(COLUMNS) + "\n"


def test_the_terminal_shows_warnings_notes_and_withheld_scores():
    text = io.StringIO()
    print_counts([counted("ink", domain_shift=SHIFT)], Console(file=text, width=200))
    shown = text.getvalue()
    assert "withheld" in shown
    assert "Warning: ink: The stain of this image differs" in shown
    assert "Intervals: precision 0.800" in shown
    assert "ink: " in shown


def test_the_density_map_has_the_cells_with_figures():
    rows = list(csv.DictReader(io.StringIO(density_csv(found()))))
    densest = max(rows, key=lambda row: float(row["per_mm2"]))
    assert abs(float(densest["x_px"]) - 4275) < 1000
    assert row_of(counted())["count"] == 12


def test_a_slide_named_like_a_formula_is_text_in_a_spreadsheet(tmp_path):
    write_counts([counted("=cmd|' /C calc'!A0")], tmp_path)
    assert "\n'=cmd" in (tmp_path / "counts.csv").read_text()
    assert json.loads((tmp_path / "counts.json").read_text())[0]["slide"] == "=cmd|' /C calc'!A0"
