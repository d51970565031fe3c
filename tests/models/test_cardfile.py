"""The card on disk: which files are read, and an id that depends on the content alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from metaphase.errors import ModelFileError
from metaphase.models.card import ModelCard, SecondStage, StainReference
from metaphase.models.cardfile import CARD_NAME, card_id, read_card
from tests.models.test_modelfile import make_card

STAGE = SecondStage(id="abc", min_score=0.2)
STAIN = StainReference(vectors=((0.6, 0.7, 0.3), (0.2, 0.9, 0.3)), amounts=(1.5, 1.0))


def write(folder: Path, content: Any, **layout: Any) -> Path:
    path = folder / CARD_NAME
    path.write_text(json.dumps(content, **layout), encoding="utf-8")
    return path


def content_of(card: ModelCard) -> dict[str, Any]:
    return card.model_dump(mode="json")


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    card = make_card(second_stage=STAGE, limitations=("small images",), notes="Zürich")
    assert read_card(write(tmp_path, content_of(card))) == card


def test_the_layout_of_the_file_does_not_change_the_id(tmp_path: Path) -> None:
    card = make_card(second_stage=STAGE)
    wide = read_card(write(tmp_path, content_of(card), indent=4, sort_keys=True))
    turned = dict(reversed(list(content_of(card).items())))
    assert card_id(wide) == card_id(read_card(write(tmp_path, turned))) == card_id(card)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"name": "other"},
        {"weights_sha256": {"model.onnx": "0"}},
        {"second_stage": STAGE},
        {"command": "metaphase train"},
        {"limitations": ("small images",)},
        {"training_images": ("0" * 16,)},
    ],
)
def test_other_content_is_another_id(change: dict[str, Any]) -> None:
    assert card_id(make_card(**change)) != card_id(make_card())


def test_settings_of_the_second_stage_count() -> None:
    stages = [
        STAGE,
        STAGE.model_copy(update={"floor": 0.3}),
        STAGE.model_copy(update={"stain": STAIN}),
        STAGE.model_copy(update={"weight": 0.7}),
    ]
    assert len({card_id(make_card(second_stage=stage)) for stage in stages}) == len(stages)


def test_a_card_of_version_0_1_has_the_same_id(tmp_path: Path) -> None:
    """It has no later fields, and names the second stage ``second``."""
    card = make_card(second_stage=STAGE)
    old = content_of(card)
    stage = old.pop("second_stage")
    for name in ("command", "limitations", "domains", "training_images"):
        del old[name]
    del stage["floor"], stage["stain"]
    old["second"] = stage
    read = read_card(write(tmp_path, old))
    assert read == card
    assert card_id(read) == card_id(card)


def test_all_wrong_fields_are_named(tmp_path: Path) -> None:
    content = content_of(make_card())
    content["threshold"]["value"] = 3
    content["speed"] = "fast"
    del content["seed"]
    with pytest.raises(ModelFileError) as caught:
        read_card(write(tmp_path, content))
    fields = {problem.record for problem in caught.value.problems}
    assert fields == {"threshold.value", "speed", "seed"}


def test_a_later_format_asks_for_an_upgrade(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"is of format 2; .*upgrade metaphase"):
        read_card(write(tmp_path, {"format": 2, "from": "the future"}))


def test_a_file_that_is_far_too_large_is_not_parsed(tmp_path: Path) -> None:
    path = write(tmp_path, content_of(make_card()))
    with path.open("r+b") as stream:
        stream.truncate(17 << 20)
    with pytest.raises(ModelFileError, match="has more than 16 MiB"):
        read_card(path)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe{}", b"[" * 100_000])
def test_files_that_are_not_json_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / CARD_NAME).write_bytes(data)
    with pytest.raises(ModelFileError, match=r"card\.json: cannot be read: .*copy the whole"):
        read_card(tmp_path / CARD_NAME)


def test_a_file_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_card(tmp_path / CARD_NAME)
