"""The part of a card that describes an imported graph."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from metaphase.models.card import HeadSpec, ModelCard
from metaphase.models.cardfile import card_id
from metaphase.models.foreign import ForeignGraph, ForeignInput, ForeignOutput
from tests.detection.scenes import make_card

INPUT = ForeignInput(layout="nchw", number="float32", width_px=640, height_px=640)
OUTPUT = ForeignOutput(
    decoding="yolov8", names=("output0",), positions=(0,), batched=(True,), classes=("mf",)
)
GRAPH = ForeignGraph(kind="yolo", file="a.onnx", input=INPUT, output=OUTPUT)
FOREIGN = HeadSpec(kind="foreign")


def test_a_card_with_it_is_written_and_read():
    card = make_card(head=FOREIGN, foreign=GRAPH)
    assert ModelCard.model_validate_json(card.model_dump_json()) == card
    changed = card.updated(foreign=GRAPH.model_copy(update={"file": "b.onnx"}))
    assert card_id(changed) != card_id(card)


def test_ids_of_other_models_stay():
    """A field that is added later does not count where it is empty."""
    card = make_card()
    assert card.foreign is None
    spec = card.input.model_copy(update={"multiple_px": 32})
    assert card_id(card.model_copy(update={"input": spec})) == (
        "7ed7a68decb79e842c6e63530f20859c3ebcc02dddde7f6e42bc9aa06a3ef2f8"
    )


@pytest.mark.parametrize(("head", "foreign"), [(FOREIGN, None), (make_card().head, GRAPH)])
def test_head_and_description_belong_together(head, foreign):
    with pytest.raises(ValidationError, match="if and only if"):
        make_card(head=head, foreign=foreign)


def test_other_heads_need_levels():
    with pytest.raises(ValidationError, match="needs at least one"):
        HeadSpec(kind="centre")


@pytest.mark.parametrize(
    "changes",
    [
        {"std": (1.0, 0.0, 1.0)},
        {"divisor": 0},
        {"divisor": float("nan")},
        {"width_px": 0},
        {"layout": "nhcw"},
        {"border": 300},
        {"batch": 0},
        {"run": "code"},
    ],
)
def test_impossible_inputs_are_refused(changes):
    with pytest.raises(ValidationError):
        ForeignInput.model_validate({**INPUT.model_dump(), **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"positions": (0, 1)},
        {"classes": ()},
        {"decoding": "eval"},
        {"first_label": 2},
        {"levels": ({"stride": 0},)},
    ],
)
def test_impossible_outputs_are_refused(changes):
    with pytest.raises(ValidationError):
        ForeignOutput.model_validate({**OUTPUT.model_dump(), **changes})
