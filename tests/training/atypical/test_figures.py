"""What the network for atypical figures learns from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metaphase.errors import RecipeError
from metaphase.labels.dataset import Dataset
from metaphase.labels.read import load_dataset
from metaphase.models.card import InputSpec
from metaphase.training.atypical.figures import labelled_figures
from metaphase.training.recipe.sections import Atypical
from tests.training.atypical.scenes import write_crops

SPEC = InputSpec(mpp=0.25, tile_px=32, margin_px=0, multiple_px=32)
SETTINGS = Atypical(window_px=32, window_um=8)


@pytest.fixture
def crops(tmp_path: Path) -> Dataset:
    return load_dataset(write_crops(tmp_path), images=tmp_path / "images")


def test_figures_are_in_the_middle_and_know_their_case(crops: Dataset) -> None:
    figures = labelled_figures(Dataset(()), crops, SETTINGS, SPEC)
    assert len(figures) == 36
    assert figures.atypical.tolist() == [i % 3 == 0 for i in range(36)]
    assert figures.group == [f"S{i // 6}" for i in range(36)]
    assert set(figures.scanner) == {"A", "B"}
    middle = figures.contexts.pixels[:, 30:34, 30:34].mean(axis=(1, 2, 3))
    assert (middle < 80).all()


def test_regions_give_figures_too(crops: Dataset) -> None:
    figures = labelled_figures(crops, Dataset(()), SETTINGS, SPEC)
    assert len(figures) == 36


def test_the_share_of_readers_is_a_soft_target(crops: Dataset) -> None:
    from dataclasses import replace

    votes = [1 / 3 if i % 3 else 2 / 3 for i in range(36)]
    soft = Dataset(
        replace(case, figures=tuple(replace(f, atypical=v) for f in case.figures))
        for case, v in zip(crops, votes, strict=True)
    )
    figures = labelled_figures(Dataset(()), soft, SETTINGS, SPEC)
    np.testing.assert_allclose(figures.share, votes)
    hard = SETTINGS.model_copy(update={"soft": 0.0})
    assert set(labelled_figures(Dataset(()), soft, hard, SPEC).share) == {0.0, 1.0}
    np.testing.assert_array_equal(figures.atypical, [i % 3 == 0 for i in range(36)])


def test_folds_keep_cases_whole_and_share_atypical_figures(crops: Dataset) -> None:
    figures = labelled_figures(Dataset(()), crops, SETTINGS, SPEC)
    fold = figures.folds(3)
    for group in set(figures.group):
        assert len({f for f, g in zip(fold, figures.group, strict=True) if g == group}) == 1
    amounts = np.bincount(fold, figures.atypical)
    assert amounts.min() == amounts.max() == 4
    with pytest.raises(RecipeError, match="cannot be divided"):
        figures.folds(7)


def test_too_few_figures_of_a_kind_are_refused(crops: Dataset) -> None:
    with pytest.raises(RecipeError, match="0 atypical mitotic figures"):
        labelled_figures(
            Dataset(()), crops.where(lambda case: not case.figures[0].atypical), SETTINGS, SPEC
        )
