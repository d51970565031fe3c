"""A data set that a small network learns in seconds: dark dots on pink, pale ones between."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from metaphase.training.recipe.recipe import Recipe, load_recipe

SIDE = 320


def write_dots(folder: Path, cases: int = 4, figures: int = 8) -> Path:
    """Write images and labels (COCO, one group a case) and return the label file."""
    rng = np.random.default_rng(7)
    images, annotations = [], []
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number in range(cases):
        pixels = rng.normal((225, 190, 215), 6, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
        image = Image.fromarray(pixels)
        draw = ImageDraw.Draw(image)
        grid = [(x, y) for x in range(40, SIDE - 30, 60) for y in range(40, SIDE - 30, 60)]
        places = rng.permutation(len(grid))
        for index, place in enumerate(places):
            x, y = (int(v) for v in grid[place])
            dark = index < figures
            radius, colour = (9, (60, 30, 90)) if dark else (12, (190, 140, 190))
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
            if dark:
                annotations.append((number, x, y))
        name = f"case{number}.png"
        image.save(folder / "images" / name)
        images.append(
            {
                "id": number,
                "file_name": name,
                "width": SIDE,
                "height": SIDE,
                "slide": f"S{number}",
                "scanner": "A" if number % 2 else "B",
            }
        )
    data = {
        "info": {"description": "dots", "mpp": 0.25, "bbox": "COCO xywh"},
        "images": images,
        "categories": [{"id": 1, "name": "mitotic figure"}],
        "annotations": [
            {
                "id": i,
                "image_id": number,
                "category_id": 1,
                "bbox": [x - 20, y - 20, 40, 40],
            }
            for i, (number, x, y) in enumerate(annotations)
        ],
    }
    path = folder / "labels.json"
    path.write_text(json.dumps(data))
    return path


RECIPE = """
name = "dots"
seed = 3

[data]
sources = [{ labels = "labels.json", images = "images" }]
split = { training = ["case0", "case1", "case2"], validation = ["case3"] }

[network]
kind = "compact"
weights = "none"
width = 16
depth = 1
tile_px = 192
dropout = 0.1

[sampling]
patch_px = 96
patches_per_epoch = 16
rim_px = 8

[augment]
strength = 0.0
mpp_jitter = 0.0

[optimiser]
learning_rate = 3e-3

[trainer]
epochs = 3
batch_size = 4
workers = 0
precision = "fp32"
accelerator = "cpu"
devices = 1
ema = 0.5
"""


def dots_recipe(folder: Path, *overrides: str, **sizes: int) -> Recipe:
    """Write the data and a recipe into a folder and load it."""
    write_dots(folder, **sizes)
    path = folder / "recipe.toml"
    path.write_text(RECIPE)
    return load_recipe(path, overrides)


def curves(run: Path) -> list[dict[str, str]]:
    """Return the rows of a run's ``metrics.csv``."""
    with (run / "metrics.csv").open() as stream:
        return list(csv.DictReader(stream))
