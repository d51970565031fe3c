"""Small recipes and small images for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.training.recipe.recipe import Recipe, parse_recipe

MPP = 0.25


def recipe_data(**sections: Any) -> dict[str, Any]:
    """The smallest recipe, with sections updated."""
    data: dict[str, Any] = {
        "name": "small",
        "data": {"sources": [{"labels": "labels.json"}], "split": {"training": ["a"]}},
        "network": {"kind": "compact", "weights": "none"},
        "sampling": {"patch_px": 64, "patches_per_epoch": 12, "rim_px": 8},
    }
    for name, values in sections.items():
        data[name] = {**data.get(name, {}), **values} if isinstance(values, dict) else values
    return data


def make_recipe(**sections: Any) -> Recipe:
    return parse_recipe(recipe_data(**sections))


def figure(n: int, x: float, y: float, label: Label = Label.MITOTIC, side: float = 50) -> Figure:
    h = side / 2
    return Figure(f"f{n}", x, y, label, (x - h, y - h, x + h, y + h))


def write_image(path: Path, width: int, height: int, seed: int = 0) -> Path:
    """A pinkish picture in which every pixel tells where it is."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x % 256, y % 256, rng.integers(0, 256, (height, width))], axis=2)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def small_dataset(folder: Path) -> Dataset:
    """Three labelled cases of two scanners and one unlabelled case, with pixels."""
    cases = []
    places = {"a": [(40, 50), (150, 90)], "b": [(100, 20)], "c": []}
    for n, (name, points) in enumerate(places.items()):
        figures = [figure(i, x, y) for i, (x, y) in enumerate(points)]
        figures.append(figure(9, 120, 60, Label.HARD_NEGATIVE))
        cases.append(
            Case(
                name,
                image=write_image(folder / f"{name}.png", 200, 160, n),
                mpp=MPP,
                scanner="S1" if name == "a" else "S2",
                figures=tuple(figures),
                width_px=200,
                height_px=160,
            )
        )
    image = write_image(folder / "u.png", 200, 160, 9)
    cases.append(Case("u", image=image, mpp=MPP, scanner="S3", labelled=False))
    return Dataset(cases, name="small")


def red_free_tissue(seed, height, width):
    """Grey-violet noise that has no red in it and no black."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 130, (height, width, 1)) + np.array([40, 30, 60])
    return pixels.astype(np.uint8)
