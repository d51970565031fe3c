import pytest

from metaphase.files import sha256_of_file
from metaphase.labels.dataset import Case
from metaphase.models.trainingimages import (
    DIGITS,
    named_for_training,
    training_images,
    was_trained_on,
)
from tests.models.tiny import save_tiny

RECIPE = {
    "data": {
        "sources": [
            {"labels": "$DATA/fields/labels.json", "role": "regions", "name": "fields"},
            {
                "labels": "$DATA/crops/labels.json",
                "role": "crops",
                "name": "crops",
                "without": ["group:T/*"],
            },
        ],
        "split": {"training": ["A00_*", "fields/B*", "scanner:Aperio*"], "test": ["A01_*"]},
    }
}


@pytest.fixture
def card(tmp_path):
    return save_tiny(tmp_path / "model").card


def test_hashes_of_existing_images_are_on_the_card(card, tmp_path):
    paths = [tmp_path / name for name in ("a.png", "b.png")]
    for path in paths:
        path.write_bytes(path.name.encode())
    hashes = training_images([*paths, paths[0], tmp_path / "missing.png", None])
    assert len(hashes) == 2
    assert all(len(one) == DIGITS for one in hashes)
    trained = card.model_copy(update={"training_images": hashes})
    assert was_trained_on(trained, sha256_of_file(paths[0])) is True
    assert was_trained_on(trained, "0" * 64) is False
    assert was_trained_on(trained, "") is None
    assert was_trained_on(card, "0" * 64) is None


@pytest.mark.parametrize(
    ("id_", "facts", "source", "named"),
    [
        ("A00_01", {}, "", True),
        ("A01_01", {}, "", False),
        ("B7", {}, "/data/fields/labels.json", True),
        ("B7", {}, "/data/other/labels.json", False),
        ("x", {"scanner": "Aperio XT"}, "/data/fields/labels.json", True),
        ("x", {"scanner": "Aperio XT"}, "/data/other.csv", False),
        ("crop1", {"group": "M/1"}, "C:\\data\\crops\\labels.json", True),
        ("crop1", {"group": "T/1"}, "/data/crops/labels.json", False),
        ("crop1", {"group": "M/1"}, "/data/mine/labels.json", False),
    ],
)
def test_an_older_card_names_its_cases_by_patterns(card, id_, facts, source, named):
    old = card.model_copy(update={"recipe": RECIPE})
    assert named_for_training(old, Case(id_, **facts), source) is named


@pytest.mark.parametrize("recipe", [{}, {"data": None}, {"data": {"split": 3, "sources": [1]}}])
def test_a_card_without_a_recipe_names_nobody(card, recipe):
    assert not named_for_training(card.model_copy(update={"recipe": recipe}), Case("A00_1"), "")
