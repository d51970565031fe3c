from __future__ import annotations

from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from metaphase.models.options import (
    Backbone,
    CompactOptions,
    EnsembleOptions,
    RetinaNetOptions,
    WindowOptions,
)


@pytest.mark.parametrize(
    "options", [CompactOptions, EnsembleOptions, RetinaNetOptions, WindowOptions]
)
def test_every_option_has_a_default_and_a_description(options: type[BaseModel]) -> None:
    assert options()
    for name, field in options.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize(
    ("options", "values"),
    [
        (CompactOptions, {"tile_px": 500}),
        (CompactOptions, {"head": "points"}),
        (CompactOptions, {"sigma_um": 0.0}),
        (CompactOptions, {"strides": (16, 32)}),
        (CompactOptions, {"strides": (8, 32)}),
        (WindowOptions, {"tile_px": 90}),
        (WindowOptions, {"strides": ()}),
        (WindowOptions, {"strides": (64,)}),
        (RetinaNetOptions, {"tile_px": 544}),
        (RetinaNetOptions, {"anchors": ()}),
        (RetinaNetOptions, {"anchors": ((8.0,),) * 6}),
        (RetinaNetOptions, {"aspect_ratios": ()}),
        (RetinaNetOptions, {"colour": "blue"}),
    ],
)
def test_options_that_no_network_can_take_are_refused(
    options: type[BaseModel], values: dict[str, object]
) -> None:
    with pytest.raises(ValidationError) as caught:
        options.model_validate(values)
    assert next(iter(values)) in str(caught.value)


def test_options_survive_a_card() -> None:
    """They are written as JSON and read back equal."""
    options = CompactOptions(width=24, backbone="efficientnet_lite1", head="anchors")
    assert CompactOptions.model_validate_json(options.model_dump_json()) == options
    retina = RetinaNetOptions(anchors=((16.0, 32.0), (64.0,)))
    assert RetinaNetOptions.model_validate_json(retina.model_dump_json()) == retina


def test_both_small_networks_have_the_same_backbones() -> None:
    for backbone in get_args(Backbone):
        assert CompactOptions(backbone=backbone).backbone == backbone
        assert WindowOptions(backbone=backbone).backbone == backbone
