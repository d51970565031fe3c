from __future__ import annotations

import pytest

from metaphase.errors import InputError
from metaphase.training.patches.minedplaces import load_mined, save_mined


def test_mined_places_survive_the_file(tmp_path):
    path = tmp_path / "mined.csv"
    save_mined(path, {'odd, "name"': [(1.25, 2.5), (3.0, 4.0)], "b": []})
    back = load_mined(path)
    assert {name: points.tolist() for name, points in back.items()} == {
        'odd, "name"': [[1.25, 2.5], [3.0, 4.0]]
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [("case,x_px\na,1\n", "y_px"), ("case,x_px,y_px\na,1,nan\n", "line 2"), ("", "case")],
)
def test_a_broken_file_of_mined_places_is_told(tmp_path, text, told):
    path = tmp_path / "mined.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=told):
        load_mined(path)


def test_a_missing_file_of_mined_places_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_mined(tmp_path / "no.csv")
