from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from metaphase.figures import Label
from metaphase.models.options import CompactOptions, RetinaNetOptions
from metaphase.training.recipe.sections import CompactNetwork, NetworkChoice, RetinaNetwork
from tests.training.helpers import make_recipe

COMPACT, RETINA = "compact", "retinanet_resnet50_fpn_v2"


def read(**table: object) -> CompactNetwork | RetinaNetwork:
    return TypeAdapter(NetworkChoice).validate_python(table, context={"folder": Path("/recipes")})


@pytest.mark.parametrize(("kind", "section"), [(COMPACT, CompactNetwork), (RETINA, RetinaNetwork)])
def test_the_kind_chooses_the_section(kind: str, section: type[BaseModel]) -> None:
    assert type(read(kind=kind)) is section


@pytest.mark.parametrize("kind", ["yolo", "Compact", "window", ""])
def test_there_are_no_other_kinds(kind: str) -> None:
    with pytest.raises(ValidationError):
        read(kind=kind)


def test_options_are_what_the_networks_take_with_equal_defaults() -> None:
    assert CompactOptions(**read(kind=COMPACT).options()) == CompactOptions()
    retina = read(kind=RETINA, anchors=((50.0,),))
    assert RetinaNetOptions(**retina.options()) == RetinaNetOptions()


def test_options_are_passed_on_and_those_of_training_are_not() -> None:
    network = read(kind=COMPACT, width=24, sigma_um=3.0, hard_negative_class=True)
    options = network.options()
    assert (options["width"], options["sigma_um"]) == (24, 3.0)
    assert not {"kind", "hard_negative_class"} & set(options)
    assert CompactOptions(**options).width == 24


def test_anchors_from_labels_are_measured_first() -> None:
    network = read(kind=RETINA)
    assert isinstance(network, RetinaNetwork)
    assert network.anchors == "from-labels"
    with pytest.raises(ValueError, match="must be measured first"):
        network.options()
    assert network.options(((40.0,), (80.0,)))["anchors"] == ((40.0,), (80.0,))


def test_anchors_that_are_given_are_not_measured() -> None:
    network = read(kind=RETINA, anchors=((32.0, 48.0),))
    assert isinstance(network, RetinaNetwork)
    assert RetinaNetOptions(**network.options(((40.0,),))).anchors == ((32.0, 48.0),)


@pytest.mark.parametrize("anchors", [(), ((0.0,),), ((1e9,),), ((8.0,),) * 6, "labels"])
def test_anchors_of_another_form_are_refused(anchors: object) -> None:
    with pytest.raises(ValidationError):
        read(kind=RETINA, anchors=anchors)


@pytest.mark.parametrize(("kind", "word"), [(COMPACT, "imagenet"), (RETINA, "coco")])
def test_weights_are_a_word_or_a_file(kind: str, word: str) -> None:
    assert read(kind=kind).weights == word
    assert read(kind=kind, weights="none").weights == "none"
    assert read(kind=kind, weights="mine.pth").weights == "/recipes/mine.pth"
    other = "coco" if word == "imagenet" else "imagenet"
    assert read(kind=kind, weights=other).weights == f"/recipes/{other}"  # a file of that name


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (COMPACT, "tile_px", 500),
        (RETINA, "tile_px", 544),
        (COMPACT, "head", "points"),
        (COMPACT, "dropout", 1.0),
        (COMPACT, "backbone", "efficientnet_b0"),
        (COMPACT, "mpp", 0.0),
        (RETINA, "resize", "800"),
        (COMPACT, "trainable_backbone_layers", 6),
        (COMPACT, "anchors", ((50.0,),)),
        (RETINA, "width", 96),
    ],
)
def test_values_that_do_not_fit_the_kind_are_refused(kind: str, field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        read(kind=kind, **{field: value})
    assert field in str(caught.value)


def test_classes_follow_the_hard_negatives():
    assert make_recipe().classes == (Label.MITOTIC,)
    two = make_recipe(network={"hard_negative_class": True}).classes
    assert two == (Label.MITOTIC, Label.HARD_NEGATIVE)
