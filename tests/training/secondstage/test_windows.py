"""Windows for the second stage."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from metaphase.errors import RecipeError
from metaphase.labels.dataset import Case, Dataset
from metaphase.models.card import InputSpec
from metaphase.training.patches.crops import Crops
from metaphase.training.patches.patch import SlidePool
from metaphase.training.patches.sampling import sampling_case
from metaphase.training.recipe.sections import Augment, SecondStage
from metaphase.training.secondstage.windows import Windows, mined_places
from tests.training.helpers import figure

SPEC = InputSpec(mpp=0.25, tile_px=32, margin_px=0, multiple_px=32)
STILL = Augment(strength=0.0, symmetries=False, mpp_jitter=0.0)
# No darker, so that resampling their sharp edges reaches neither black nor white.
DARK, GREY = (110, 90, 130), (160, 130, 165)


def picture(path, size, marks):
    pixels = np.full((size, size, 3), (225, 190, 215), np.uint8)
    for x, y, colour in marks:
        pixels[y - 5 : y + 5, x - 5 : x + 5] = colour
    Image.fromarray(pixels).save(path)
    return path


def region(folder):
    """A figure, dark, and a mistake, grey."""
    image = picture(folder / "a.png", 300, [(60, 60, DARK), (200, 200, GREY)])
    figures = (figure(0, 60, 60),)
    return Case("a", image=image, mpp=0.25, figures=figures, width_px=300, height_px=300)


def crop(folder):
    image = picture(folder / "crop.png", 128, [(64, 64, DARK), (20, 20, GREY)])
    return Case("crop", image=image, mpp=0.25, scanner="S", figures=(figure(0, 64, 64),))


def make(folder, mistakes=((200.0, 200.0),), *, crops=False, share=0.5, augment=STILL, **settings):
    case = region(folder)
    described = sampling_case(case, width_px=300, height_px=300, mpp=0.25)
    values = {
        "windows": 40,
        "jitter_um": 0.5,
        "colour_transfer": 0.0,
        "random_negatives": 0.0,
        **settings,
    }
    values["crops"] = share if crops else 0.0
    return Windows(
        [described],
        SlidePool({"a": case}),
        {"a": np.array(mistakes).reshape(-1, 2)},
        SecondStage(**values),
        SPEC,
        augment,
        crops=Crops(Dataset([crop(folder)])) if crops else None,
        seed=1,
    )


def middle(image):
    return image[14:18, 14:18].mean(axis=(0, 1))


def test_figures_and_mistakes_are_in_the_middle(tmp_path):
    windows = make(tmp_path)
    kinds = set()
    for index in range(len(windows)):
        image, is_figure = windows[index]
        assert image.shape == (32, 32, 3)
        assert image.dtype == np.uint8
        assert np.abs(middle(image) - (DARK if is_figure else GREY)).max() < 3
        kinds.add(is_figure)
    assert kinds == {True, False}


def test_a_window_depends_on_its_index_alone(tmp_path):
    windows = make(
        tmp_path, crops=True, augment=Augment(), colour_transfer=0.5, random_negatives=0.5
    )
    first = [windows[index] for index in (3, 9, 4)]
    again = [windows[index] for index in (3, 9, 4)]
    for (a, x), (b, y) in zip(first, again, strict=True):
        assert np.array_equal(a, b)
        assert x == y
    assert not np.array_equal(first[0][0], first[1][0])


def test_a_mistake_near_a_figure_is_none(tmp_path):
    windows = make(tmp_path, mistakes=((70.0, 60.0), (200.0, 200.0)))
    for index in range(len(windows)):
        image, is_figure = windows[index]
        assert is_figure or np.abs(middle(image) - GREY).max() < 3


def test_without_mistakes_dark_places_away_from_figures_are_taken(tmp_path):
    windows = make(tmp_path, mistakes=())
    for index in range(len(windows)):
        image, is_figure = windows[index]
        assert is_figure or np.abs(middle(image) - DARK).max() > 20


def test_crops_give_figures_in_the_middle_and_pieces_beside_them(tmp_path):
    windows = make(tmp_path, crops=True, share=0.99)
    for index in range(len(windows)):
        image, is_figure = windows[index]
        dark = np.abs(middle(image) - DARK).max() < 3
        assert dark == is_figure
        # Nothing of what lies beyond the crop: white or black.
        assert image.min() > 10
        assert image.max() < 240


def test_colours_are_exchanged_whatever_is_in_the_window(tmp_path):
    plain, exchanged = make(tmp_path, crops=True), make(tmp_path, crops=True, exchange=1.0)
    changed = {True: 0, False: 0}
    for index in range(len(plain)):
        (a, is_figure), (b, same) = plain[index], exchanged[index]
        if is_figure == same:
            changed[is_figure] += not np.array_equal(a, b)
    assert min(changed.values()) > 3


def test_regions_without_figures_are_refused(tmp_path):
    case = Case("e", image=picture(tmp_path / "e.png", 100, []), mpp=0.25)
    described = sampling_case(case, width_px=100, height_px=100, mpp=0.25)
    with pytest.raises(RecipeError, match="no mitotic figure"):
        Windows([described], SlidePool({"e": case}), {}, SecondStage(), SPEC, STILL)


def test_tables_of_mistakes_are_joined():
    one, two = {"a": np.zeros((2, 2))}, {"a": np.ones((1, 2)), "b": np.ones((3, 2))}
    joined = mined_places([one, two])
    assert {case: len(places) for case, places in joined.items()} == {"a": 3, "b": 3}
