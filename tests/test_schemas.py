"""The JSON files that metaphase writes follow the bundled schemas, and the schemas refuse others.

``python -m tests.test_schemas`` writes the schema of the model card, which comes from its class.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import metaphase
from metaphase.models.card import ModelCard

FOLDER = Path(metaphase.__file__).parent / "schemas"
NAMES = ("card", "count", "detections", "scores", "split")


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8"))
    return loaded


def card_schema() -> str:
    return json.dumps(ModelCard.model_json_schema(), indent=1) + "\n"


def some(image: str = "a.png") -> metaphase.Detections:
    made = metaphase.Provenance(
        image=image, width_px=8000, height_px=8000, mpp=0.25, threshold=0.5, model="some"
    )
    return metaphase.Detections([10, 500], [20, 700], [0.9, 0.3], provenance=made)


def detections_file(folder: Path) -> Path:
    metaphase.save_detections(some(), folder)
    return folder / "detections.json"


def count_file(folder: Path) -> Path:
    result = metaphase.count(some(), validation=(80, 20, 25), top=2)
    (folder / "count.json").write_text(json.dumps(result.to_dict()), encoding="utf-8")
    return folder / "count.json"


def scores_file(folder: Path) -> Path:
    figures = (metaphase.Figure("1", 12.0, 20.0), metaphase.Figure("2", 900.0, 900.0))
    case = metaphase.Case("a", mpp=0.25, width_px=8000, height_px=8000, figures=figures)
    scores = metaphase.evaluate({"a": some()}, metaphase.Dataset([case]))
    metaphase.save_scores(scores, folder / "scores.json")
    return folder / "scores.json"


def split_file(folder: Path) -> Path:
    split = metaphase.Split(name="mine", training=("a",), validation=("b",), test=("c",))
    metaphase.save_split(split, folder / "split.json")
    return folder / "split.json"


def card_file(folder: Path) -> Path:
    card = metaphase.load_model("compact").card
    (folder / "card.json").write_text(card.model_dump_json(), encoding="utf-8")
    return folder / "card.json"


FILES = {
    "card": card_file,
    "count": count_file,
    "detections": detections_file,
    "scores": scores_file,
    "split": split_file,
}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_follows_its_schema(name: str, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(schema(name))
    jsonschema.Draft202012Validator.check_schema(schema(name))
    data = json.loads(FILES[name](tmp_path).read_text(encoding="utf-8"))
    assert [error.message for error in validator.iter_errors(data)] == []
    required = schema(name)["required"]
    assert required
    for key in required:
        damaged = {k: v for k, v in data.items() if k != key}
        assert list(validator.iter_errors(damaged)), key


def test_values_out_of_range_are_refused(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(schema("detections"))
    data = json.loads(detections_file(tmp_path).read_text(encoding="utf-8"))
    assert list(validator.iter_errors({**data, "threshold": 2}))
    assert list(validator.iter_errors({**data, "image_sha256": "no hash"}))
    assert list(validator.iter_errors({**data, "width_px": "8000"}))


def test_the_schema_of_the_card_is_that_of_its_class() -> None:
    text = (FOLDER / "card.schema.json").read_text(encoding="utf-8")
    assert text == card_schema(), "run: python -m tests.test_schemas"


if __name__ == "__main__":
    (FOLDER / "card.schema.json").write_text(card_schema(), encoding="utf-8")
