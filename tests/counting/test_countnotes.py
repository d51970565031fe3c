import pytest

from metaphase.counting.analysedregion import AnalysedRegion
from metaphase.counting.countnotes import count_notes
from metaphase.counting.hotspot import Hotspot
from metaphase.counting.window import Window, WindowShape
from metaphase.provenance import Provenance

SHIFT = {
    "ratio": 6.5,
    "component": "stain",
    "nearest": "Aperio XT",
    "training_images": 28,
    "shifted": True,
}


def notes(area_mm2=2.0, shape=None, *, glass=False, **options):
    """Notes on a count without anything to note, unless the arguments change that."""
    parameters = options.pop("parameters", {"tissue": False})
    window = Window("rectangle", 5000, 5000, 5657, 5657)
    defaults = {
        "shape": shape or WindowShape(),
        "analysed": AnalysedRegion(),
        "has_interval": True,
        "field_diameter_mm": None,
        "withheld_above": None,
    }
    return count_notes(
        Provenance("a.svs", 20_000, 20_000, 0.25, parameters=parameters),
        [Hotspot(window, 3, area_mm2, area_mm2, glass)],
        **(defaults | options),
    )


def test_a_plain_count_has_no_notes():
    assert notes() == ()


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        ("No interval", {"has_interval": False}),
        ("enough tissue", {"glass": True}),
        ("The image holds 1 of the window's 2 mm2", {"area_mm2": 1.0}),
        ("The analysed region holds", {"area_mm2": 1.0, "parameters": {"region": [0, 0, 9, 9]}}),
        ("Only a part of the slide", {"parameters": {"region": [0, 0, 9, 9]}}),
        ("region of interest is missing", {"parameters": {"roi_sha256": "x"}}),
        ("densities are per mm2 of image", {"parameters": {}}),
        ("it needs a field diameter", {"shape": WindowShape(area_mm2=1.0), "area_mm2": 1.0}),
        ("times 1.37: ten fields of 0.59 mm have 2.73 mm2", {"field_diameter_mm": 0.59}),
        ("domain shift 6.5, limit 3", {"parameters": {"domain_shift": SHIFT}, "withheld_above": 3}),
    ],
)
def test_everything_that_limits_a_count_is_noted(expected, changes):
    assert any(expected in note for note in notes(**changes))


def test_a_field_diameter_of_the_same_area_needs_no_note():
    shape = WindowShape(area_mm2=2.734)
    assert notes(2.734, shape, field_diameter_mm=0.59) == ()
