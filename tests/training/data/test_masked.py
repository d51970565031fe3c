from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaphase.errors import InputError
from metaphase.labels.dataset import Case, Dataset
from metaphase.training.data.masked import load_masked

CASES = Dataset([Case("a", image=Path("x/a.png")), Case("b", image=Path("x/b.png")), Case("c")])


def write(folder: Path, content: object) -> Path:
    path = folder / "masked.json"
    path.write_text(content if isinstance(content, str) else json.dumps({"painted": content}))
    return path


@pytest.mark.parametrize("name", ["a.png", "a"])
def test_images_are_named_with_or_without_suffix(tmp_path, name):
    masked = load_masked(write(tmp_path, {name: [[1, 2, 3, 4]], "other.png": []}), CASES)
    assert list(masked) == ["a"]
    assert masked["a"].tolist() == [[1, 2, 3, 4]]


def test_a_case_without_an_image_is_named_by_its_id(tmp_path):
    assert load_masked(write(tmp_path, {"c": []}), CASES)["c"].shape == (0, 4)


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "[]",
        "{}",
        '{"painted": []}',
        '{"painted": {"a": [[3, 2, 1, 4]]}}',
        '{"painted": {"a": [[1, 2, 3]]}}',
        '{"painted": {"a": [[1, 2, 3, NaN]]}}',
        '{"painted": {"a": [[1, 2, 3, "x"]]}}',
        '{"painted": {"a": [[1, 2, 3, {}]]}}',
        '{"painted": {"a": [[1, 2, 3, 1' + "0" * 400 + "]]}}",
        '{"painted": ' + "[" * 5000,
    ],
)
def test_a_file_of_another_form_is_an_error_with_the_form(tmp_path, content):
    with pytest.raises(InputError, match="masked places") as caught:
        load_masked(write(tmp_path, content), CASES)
    assert "painted" in caught.value.problems[0].way_out


def test_a_file_that_is_absent_is_an_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_masked(tmp_path / "absent.json", CASES)
