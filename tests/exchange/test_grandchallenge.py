"""Grand Challenge's points: the names of classes in their usual spellings."""

from __future__ import annotations

import json

import pytest

from metaphase.errors import DetectionsError
from metaphase.exchange import grandchallenge
from metaphase.exchange.importedfile import ImageFacts


def points(path, *names):
    body = [{"name": n, "point": [0.025, 0.05, 0], "probability": 0.5} for n in names]
    path.write_text(json.dumps({"type": "Multiple points", "points": body}))
    return path


def test_spellings_of_the_two_classes(tmp_path):
    names = ("mitotic figure", "Mitotic Figure", "non-mitotic figure", "hard negative")
    (read,) = grandchallenge.read(points(tmp_path / "a.json", *names), ImageFacts(0.25)).values()
    assert [str(label) for label in read.labels] == ["mitotic figure"] * 2 + ["hard negative"] * 2
    assert read.points[0].tolist() == [100, 200]


@pytest.mark.parametrize("name", ["Mitosis?", "cell", "", None, 3])
def test_other_classes_are_a_problem(tmp_path, name):
    with pytest.raises(DetectionsError, match="no label"):
        grandchallenge.read(points(tmp_path / "a.json", name), ImageFacts(0.25))
