"""A small data set and recipes for the tests of the checks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from metaphase.training.checks.doctor import examine
from metaphase.training.recipe.recipe import load_recipe, parse_recipe
from tests.training.helpers import write_image

ROOT = Path(__file__).resolve().parents[3]
SIDE = 300


def write_patient(folder):
    """Like MIDOG, small: 12 labelled cases of two scanners, 2 unlabelled ones of a third."""
    rng = np.random.default_rng(0)
    cases, figures = [], []
    for n in range(14):
        name = f"{n:03d}"
        write_image(folder / f"{name}.png", SIDE, SIDE, n)
        scanner = "Aperio CS2" if n < 6 else "Hamamatsu XR" if n < 12 else "Leica GT450"
        cases.append([name, f"{name}.png", scanner, 0.25, n < 12, SIDE, SIDE])
        for label in ("mitotic figure", "hard negative") if n < 12 else ():
            for x, y in rng.uniform(0, SIDE, (6, 2)).round(1):
                box = [x - 25, y - 25, x + 25, y + 25]
                figures.append([name, x, y, label, *box])
    table(folder / "cases.csv", "id image scanner mpp labelled width_px height_px", cases)
    table(folder / "figures.csv", "case x_px y_px label x1_px y1_px x2_px y2_px", figures)
    return folder


def table(path, columns, rows):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([columns.split(), *rows])


def recipe(folder, split=None, **sections):
    data = {
        "name": "patient",
        "data": {
            "sources": [{"labels": "figures.csv", "images": ".", "cases": "cases.csv"}],
            "split": split
            or {"training": ["00[0-3]", "00[6-9]"], "validation": ["00[45]", "01[01]"]},
        },
        "network": {"kind": "compact", "weights": "none", "width": 16},
        "sampling": {"patch_px": 128, "patches_per_epoch": 200},
        "trainer": {"batch_size": 2, "workers": 0},
    }
    for name, values in sections.items():
        data[name] = {**data.get(name, {}), **values}
    return parse_recipe(data, folder=folder)


def exercise(folder, split):
    """recipes/exercise.toml, its own text, on the small data."""
    return load_recipe(
        ROOT / "recipes" / "exercise.toml",
        [
            f'data.sources=[{{labels="{folder}/figures.csv", images="{folder}"}}]',
            f"data.split={split}",
            "trainer.epochs=200",
            "trainer.batch_size=2",
            "network.weights=none",
        ],
    )


def found(recipe, level=None, **options):
    findings = examine(recipe, **({"measure": False} | options))
    return {f.where: f for f in findings if level is None or f.level == level}
