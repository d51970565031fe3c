"""A model's card as a page: everything that it says, nothing that it does not."""

from __future__ import annotations

import pytest

from metaphase.models.card import SecondStage, StainReference
from metaphase.models.cardfile import card_id
from metaphase.models.cardpage import card_markdown
from tests.detection.scenes import make_card

POOLED = {
    "cases": 28,
    "labelled": 144,
    "tp": 120,
    "fp": 20,
    "fn": 24,
    "f1": 0.8451,
    "precision": 0.8571,
    "recall": 0.8333,
    "area_mm2": 10.0,
    "intervals": {"f1": {"low": 0.71, "high": 0.9}, "recall": {"low": None, "high": None}},
}


def rows(text, first):
    return [line for line in text.splitlines() if line.startswith(f"| {first}")]


def test_the_smallest_card_is_a_page():
    text = card_markdown(make_card())
    assert text.startswith("# dots\n\n**For research use. Not a medical device, not for diagnosis.")
    assert "0.5, chosen on nothing" in text
    for absent in ("## Scores", "## Known failures", "## Training data", "```", "None"):
        assert absent not in text


def test_a_second_stage_is_described():
    look = SecondStage(id="two", symmetries=4, weight=0.5, min_score=0.1)
    text = card_markdown(make_card(second_stage=look))
    assert "with a score of at least 0.1. It averages up to 4 mirrored" in text
    assert "stains" not in text
    stain = StainReference(vectors=((0.6, 0.7, 0.4), (0.2, 0.8, 0.5)), amounts=(2.0, 1.0))
    normalised = card_markdown(make_card(second_stage=look.model_copy(update={"stain": stain})))
    assert "at least 0.1, normalised to the stains of the training images." in normalised
    assert "second network" not in card_markdown(make_card())


def test_scores_with_intervals_are_a_table():
    scanners = {
        "Aperio CS2": {"recall": 0.9, "intervals": {"recall": [0.8, 0.95]}},
        "Hamamatsu XR": {"recall": 0.85, "fp_per_mm2": 1.5},
    }
    scores = {"left out": POOLED, "held out": scanners, "speed": {"mm2/s": 1.25, "cores": 2}}
    text = card_markdown(make_card(scores=scores))
    (pooled,) = rows(text, "left out")
    assert pooled == (
        "| left out | 28 | 0.845 (0.710 to 0.900) | 0.857 | 0.833 | 144 | 120 | 20 | 24 | 2 |"
    )
    assert rows(text, "held out, Aperio CS2")[0].split(" | ")[4] == "0.900 (0.800 to 0.950)"
    assert rows(text, "held out, Hamamatsu XR")[0].endswith("| 1.5 |")
    assert "- speed:\n  - mm2/s: 1.25\n  - cores: 2" in text
    assert "bootstrap" in text


def test_data_terms_command_and_failures_are_listed():
    source = {
        "name": "fields",
        "cases": 28,
        "mitotic_figures": 144,
        "scanners": ["Aperio XT"],
        "terms": "one | two",
    }
    card = make_card(
        training_data=[source],
        recipe={"name": "fast"},
        command="metaphase train fast.toml",
        limitations=("Blurred fields: misses more.", "Dark\nnuclei."),
        versions={"torch": "2"},
    )
    text = card_markdown(card, "0123")
    assert rows(text, "fields") == ["| fields | 28 | 144 | Aperio XT | one \\| two |"]
    assert "- Blurred fields: misses more.\n- Dark nuclei." in text
    assert "```console\n$ metaphase train fast.toml\n```" in text
    assert "Id: `0123`" in text
    assert "Recipe `fast`" in text


def test_new_fields_change_the_id_only_where_they_say_something():
    card = make_card()
    spec = card.input.model_copy(update={"multiple_px": 32})
    assert card_id(card.model_copy(update={"input": spec})) == (
        "7ed7a68decb79e842c6e63530f20859c3ebcc02dddde7f6e42bc9aa06a3ef2f8"
    )
    assert card_id(card.model_copy(update={"limitations": ("some",)})) != card_id(card)
    assert card_id(card.model_copy(update={"command": "train"})) != card_id(card)


@pytest.mark.parametrize("notes", ["Research use only; not for diagnosis.", ""])
def test_the_default_note_is_not_repeated(notes):
    text = card_markdown(make_card(notes=notes))
    assert text.lower().count("diagnosis") == 1
    assert "Made for fields." in card_markdown(make_card(notes=f"{notes} Made for fields."))
