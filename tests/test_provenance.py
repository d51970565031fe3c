"""The provenance: typed parameters, files of version 0.1, and warnings."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from metaphase.provenance import Parameters, Provenance

# As version 0.1 wrote it (shortened).
OLD = {
    "image": "a.tiff",
    "width_px": 700,
    "height_px": 500,
    "mpp": 0.2275,
    "mpp_source": "ome",
    "image_sha256": "aa",
    "model": "compact",
    "model_id": "bb",
    "threshold": 0.416,
    "runtime": "onnxruntime 1.23 cpu",
    "metaphase": "0.1.0",
    "parameters": {
        "min_score": 0.05,
        "network_mpp": 0.25,
        "resampled": True,
        "region": [0, 10, 200, 300],
        "first_look": None,
        "second_look": {"min_score": 0.1, "stain": {"amounts": [2.0, 1.5]}},
        "validation": None,
        "capped_tiles": 0,
        "familiarity": {
            "times": 2.5,
            "component": "stain",
            "nearest": "Aperio XT",
            "training_images": 28,
            "unfamiliar": True,
            "components": {"stain": {"times": 2.5, "nearest": "Aperio XT"}},
        },
    },
}


def test_a_file_of_version_0_1_is_read() -> None:
    made = Provenance.from_json(OLD)
    assert made.parameters.region == (0, 10, 200, 300)
    assert made.parameters.second_stage == OLD["parameters"]["second_look"]
    shift = made.parameters.domain_shift
    assert shift is not None
    assert (shift.ratio, shift.shifted, shift.components["stain"].ratio) == (2.5, True, 2.5)
    assert "2.5 times the limit" in made.warnings[0]
    empty = {**OLD, "parameters": {"familiarity": {}}}
    assert Provenance.from_json(empty).parameters.domain_shift is None


def test_json_gives_the_same_again_and_has_the_warnings() -> None:
    made = Provenance.from_json(OLD)
    data = json.loads(json.dumps(made.to_json()))
    assert Provenance.from_json(data) == made
    assert data["warnings"] == list(made.warnings)
    assert "familiarity" not in data["parameters"]
    assert data["parameters"]["region"] == [0, 10, 200, 300]
    assert "tiles" not in data["parameters"], "only what was set is written"


def test_unknown_parameters_are_kept() -> None:
    parameters = Parameters.model_validate({"later": {"a": [1]}, "tiles": 3})
    assert parameters.to_json() == {"later": {"a": [1]}, "tiles": 3}
    assert parameters.updated(tiles=4).to_json() == {"later": {"a": [1]}, "tiles": 4}
    assert parameters.tiles == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width_px", -1),
        ("width_px", 10**400),
        ("mpp", float("nan")),
        ("mpp", "a"),
        ("threshold", float("inf")),
        ("image", None),
        ("parameters", [1]),
        ("parameters", {"region": [1, 2]}),
        ("parameters", {"region": [1, 2, 3, float("nan")]}),
        ("parameters", {"validation": {"tp": -1, "fp": 0, "fn": 0, "threshold": 0.5}}),
    ],
)
def test_wrong_values_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Provenance.from_json({**OLD, field: value})


def test_an_image_without_the_detail_that_the_model_needs_has_a_warning() -> None:
    for mpp, warned in ((0.25, False), (0.3, False), (0.12, False), (0.5, True), (8.0, True)):
        made = Provenance("a", 1, 1, mpp, parameters=Parameters(network_mpp=0.25))
        assert bool(made.warnings) is warned
    assert "8 um/px" in made.warnings[0]


def test_tiles_with_too_many_candidates_have_a_warning() -> None:
    made = Provenance("a", 1, 1, 0.25, parameters=Parameters(capped_tiles=2))
    assert "2 tiles" in made.warnings[0]
    assert Provenance("a", 1, 1, 0.25, parameters=Parameters(capped_tiles=0)).warnings == ()
