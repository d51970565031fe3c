"""Random numbers give what they gave in version 0.1: which patches, their figures and pixels.

``golden.json`` was written with version 0.1 (mean grey levels; pixels may differ by rounding
between builds of the libraries).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metaphase.figures import Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.stain.vectors import RUIFROK
from metaphase.training.patches.augment import augment
from metaphase.training.patches.dataset import PatchDataset, patch_dataset
from metaphase.training.recipe.sections import (
    Augment,
    Blur,
    Camera,
    Colour,
    Fourier,
    Jpeg,
    Noise,
    Sharpen,
    Stain,
    StainTransfer,
    Tone,
)
from tests.training.helpers import figure, make_recipe

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
STEPS = {
    "tone": Tone,
    "colour": Colour,
    "blur": Blur,
    "sharpen": Sharpen,
    "noise": Noise,
    "jpeg": Jpeg,
    "camera": Camera,
    "stain": Stain,
}
OPTIONAL = {"stain_transfer": StainTransfer, "fourier": Fourier}
GREY = 0.02
"""Largest difference of mean grey levels."""


def tissue(seed: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    h = 0.3 + 0.9 * (np.hypot(x % 20 - 10, y % 20 - 10) < 5) + 0.05 * rng.random((size, size))
    e = 0.4 + 0.3 * np.sin((x + seed * 7) / 9)
    h[: size // 4], e[: size // 4] = 0, 0
    od = h[..., None] * RUIFROK[0].round(3) + e[..., None] * RUIFROK[1].round(3)
    return np.round(255 * np.exp(-od)).astype(np.uint8)


@pytest.mark.parametrize("key", GOLDEN["augment"])
def test_a_step_of_augmentation_draws_what_it_drew(key: str) -> None:
    name, _, extra = key.partition(" ")
    off = {step: section(probability=0.0) for step, section in STEPS.items()}
    section = (STEPS | OPTIONAL)[name](probability=1.0, **json.loads(extra))
    settings = Augment(symmetries=True, **(off | {name: section}))
    partner = tissue(2, 64)
    image, points, boxes = augment(
        tissue(1, 64),
        np.array([[10.0, 20.0]]),
        np.array([[5.0, 5.0, 15.0, 25.0]]),
        settings,
        np.random.default_rng(3),
        lambda rng: partner,
    )
    mean, expected_points, expected_boxes = GOLDEN["augment"][key]
    assert image.mean() == pytest.approx(mean, abs=GREY)
    assert points.tolist() == expected_points
    assert boxes.tolist() == expected_boxes


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> PatchDataset:
    folder = tmp_path_factory.mktemp("golden")

    def case(name: str, seed: int, size: int, scanner: str, *figures: object) -> Case:
        Image.fromarray(tissue(seed, size)).save(folder / f"{name}.png")
        image = folder / f"{name}.png"
        return Case(
            name,
            image=image,
            mpp=0.25,
            scanner=scanner,
            figures=figures,  # type: ignore[arg-type]
            width_px=size,
            height_px=size,
        )

    regions = [
        case(
            f"c{n}",
            n,
            300,
            f"S{n % 2}",
            figure(0, 60 + 30 * n, 120, side=48),
            figure(1, 200, 90 + 20 * n, Label.HARD_NEGATIVE, side=48),
        )
        for n in range(3)
    ]
    crops = [case(f"k{n}", 10 + n, 128, f"K{n % 2}", figure(0, 64, 64, side=48)) for n in range(6)]
    recipe = make_recipe(
        seed=5,
        sampling={
            "patch_px": 96,
            "patches_per_epoch": 40,
            "crops_share": 0.5,
            "crops_negatives": 1.0,
            "crops_mosaics": 0.4,
        },
        augment={
            "stain_transfer": {"probability": 0.5},
            "fourier": {"probability": 0.5},
            "camera": {},
        },
    )
    return patch_dataset(recipe, Dataset(regions), Dataset(crops))


def test_the_same_patches_are_drawn(patches: PatchDataset) -> None:
    drawn = [patches.sampler.spec(epoch, index) for epoch in (0, 1) for index in range(10)]
    assert [[s.case_id, s.x_px, s.y_px, round(s.mpp, 9), s.kind] for s in drawn] == GOLDEN["specs"]


def test_patches_have_the_same_figures_and_pixels(patches: PatchDataset) -> None:
    for index, (mean, points, ignore) in enumerate(GOLDEN["patches"]):
        patch = patches[index]
        assert patch.image.mean() == pytest.approx(mean, abs=GREY)
        assert patch.points.round(4).tolist() == points
        assert patch.ignore.round(4).tolist() == ignore
