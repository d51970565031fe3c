from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from metaphase.detection.plan import Settings, make_plan
from metaphase.figures import Detections, points_of
from metaphase.labels.dataset import Dataset
from metaphase.models.networks.base import Network
from metaphase.training.fit.regionvalidation import (
    GridTiles,
    NetworkRuntime,
    Regions,
    RegionScorer,
    Scored,
    TileOf,
    collate_tiles,
    detect_regions,
)
from metaphase.training.recipe.recipe import Recipe
from tests.training.fit.scenes import dot_network, dots, without_figures


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Dataset]:
    torch.set_num_threads(1)
    return dots(tmp_path_factory.mktemp("dots"))


@pytest.fixture(scope="module")
def network() -> Network:
    return dot_network()


def maps_of(network: Network, tiles: GridTiles, numbers: Sequence[int]) -> list[np.ndarray]:
    images, _, _ = collate_tiles([tiles[number] for number in numbers])
    with torch.no_grad():
        return [m.numpy() for m in network(images)]


def scored(
    recipe: Recipe, network: Network, cases: Dataset, *, backwards: bool = False
) -> tuple[Scored, RegionScorer]:
    """Run the network on all tiles, one by one, and score them."""
    scorer = RegionScorer(recipe, network, cases)
    tiles = GridTiles(recipe, network, cases)
    order = range(len(tiles))
    for number in reversed(order) if backwards else order:
        scorer.add(maps_of(network, tiles, [number]), [tiles[number][1]])
    scorer.gather()  # in one process there is nothing to join
    return scorer.score(), scorer


# --- the grid


def test_tiles_are_those_of_detection(scene: tuple[Recipe, Dataset], network: Network) -> None:
    recipe, cases = scene
    tiles = GridTiles(recipe, network, cases)
    regions = Regions(recipe, network, cases)
    expected: list[TileOf] = []
    for case in cases:
        settings = Settings(min_score=recipe.validation.min_score, fit_tiles=False)
        plan = make_plan(regions.slides[case.id], regions.model, settings)
        expected += [(case.id, int(number)) for number in plan.tiles]
    assert [tiles[n][1] for n in range(len(tiles))] == expected
    assert len(tiles) == len(expected) > 2 * len(cases)


def test_a_tile_has_its_pixels_and_its_figures(
    scene: tuple[Recipe, Dataset], network: Network
) -> None:
    recipe, cases = scene
    tiles = GridTiles(recipe, network, cases)
    seen: dict[str, set[tuple[float, float]]] = {case.id: set() for case in cases}
    for number in range(len(tiles)):
        patch, (case_id, _) = tiles[number]
        spec = patch.spec
        slide = tiles.regions.slides[case_id]
        pixels = slide.read(spec.x_px, spec.y_px, 128, 128, spec.mpp)
        assert np.array_equal(patch.image, pixels)
        for x, y in patch.points:
            seen[case_id].add((round(x + spec.x_px, 3), round(y + spec.y_px, 3)))
    for case in cases:  # every figure is in some tile, at its place
        assert {tuple(point) for point in points_of(case.figures).tolist()} == seen[case.id]


def test_a_plan_is_made_once(scene: tuple[Recipe, Dataset], network: Network) -> None:
    regions = Regions(*(scene[0], network, scene[1]))
    assert regions.plan("case0") is regions.plan("case0")
    assert regions.plan("case0") is not regions.plan("case1")


def test_a_batch_of_tiles_keeps_their_order(
    scene: tuple[Recipe, Dataset], network: Network
) -> None:
    tiles = GridTiles(*(scene[0], network, scene[1]))
    images, targets, places = collate_tiles([tiles[3], tiles[1]])
    assert images.shape == (2, 128, 128, 3)
    assert places == [tiles[3][1], tiles[1][1]]
    assert len(targets[0]["points"]) == len(tiles[3][0].points)


# --- scores


def test_a_network_that_finds_all_figures_scores_1(
    scene: tuple[Recipe, Dataset], network: Network
) -> None:
    result, scorer = scored(scene[0], network, scene[1])
    assert (result.f1, result.precision, result.recall) == (1, 1, 1)
    assert scene[0].validation.min_score <= result.threshold < 0.5
    assert scorer.curve is not None
    assert scorer.curve.at(result.threshold).f1 == 1
    assert set(scorer.detections) == {"case0", "case1"}


def test_the_order_of_the_tiles_changes_nothing(
    scene: tuple[Recipe, Dataset], network: Network
) -> None:
    forward, one = scored(scene[0], network, scene[1])
    backward, other = scored(scene[0], network, scene[1], backwards=True)
    assert forward == backward
    assert one.detections == other.detections


def test_an_epoch_finds_what_a_run_over_whole_regions_finds(
    scene: tuple[Recipe, Dataset], network: Network
) -> None:
    recipe, cases = scene
    _, scorer = scored(recipe, network, cases)
    found = detect_regions(network, recipe, cases, min_score=recipe.validation.min_score)
    for case in cases:
        np.testing.assert_array_equal(found[case.id].points, scorer.detections[case.id].points)
        np.testing.assert_allclose(
            found[case.id].score, scorer.detections[case.id].score, atol=1e-5
        )


def test_a_figure_that_is_not_found_lowers_the_recall(
    scene: tuple[Recipe, Dataset], network: Network
) -> None:
    """And a dot that is no figure lowers the precision."""
    recipe, cases = scene
    fewer = without_figures(cases, "case0", keep=3)
    result, _ = scored(recipe, network, fewer)
    assert result.recall == 1
    assert result.precision == pytest.approx(8 / 10)


def test_the_worst_domain_has_its_own_score(
    scene: tuple[Recipe, Dataset], network: Network
) -> None:
    recipe, cases = scene
    trainer = recipe.trainer.model_copy(update={"worst_of": "scanner"})
    by_scanner = recipe.model_copy(update={"trainer": trainer})
    assert scored(recipe, network, cases)[0].worst_f1 is None
    fewer = without_figures(cases, "case0", keep=1)
    result, _ = scored(by_scanner, network, fewer)
    assert result.worst_f1 is not None
    assert result.worst_f1 < result.f1
    # At the common threshold, one figure of this domain is found beside some other dots.
    assert 2 / (2 + 4) <= result.worst_f1 < 1
    # In a domain without figures, every detection is wrong.
    none = without_figures(cases, "case0")
    empty, _ = scored(by_scanner, network, none)
    assert empty.worst_f1 == 0


def test_a_new_epoch_begins_with_nothing(scene: tuple[Recipe, Dataset], network: Network) -> None:
    _, scorer = scored(scene[0], network, scene[1])
    scorer.reset()
    assert scorer.detections == {}
    nothing = scorer.score()
    assert (nothing.f1, nothing.recall) == (0, 0)
    assert nothing.precision == 0  # undefined, and 0 for a curve
    assert all(len(found) == 0 for found in scorer.detections.values())


def test_scores_by_name_leave_out_what_is_not_known() -> None:
    plain = Scored(0.5, 0.4, 0.6, 0.3)
    assert plain.values() == {"f1": 0.5, "precision": 0.4, "recall": 0.6, "threshold": 0.3}
    assert Scored(0.5, 0.4, 0.6, 0.3, 0.1).values()["worst_f1"] == 0.1


# --- whole regions


def test_detections_have_the_lowest_score_that_is_asked_for(
    scene: tuple[Recipe, Dataset], network: Network
) -> None:
    recipe, cases = scene
    few, many = (detect_regions(network, recipe, cases, min_score=score) for score in (0.1, 0.001))
    for case in cases:
        assert len(few[case.id]) == 5
        assert len(many[case.id]) > 5
        assert few[case.id].score.min() >= 0.1


def test_detections_lie_on_the_dots(scene: tuple[Recipe, Dataset], network: Network) -> None:
    recipe, cases = scene
    found: dict[str, Detections] = detect_regions(network, recipe, cases, min_score=0.1)
    for case in cases:
        truth = points_of(case.figures)
        away = np.hypot(*(found[case.id].points[:, None] - truth[None]).transpose(2, 0, 1))
        assert away.min(axis=1).max() < 12  # within a cell and a half of 8 px
        assert found[case.id].provenance.image == f"{case.id}.png"
        assert found[case.id].provenance.mpp == 0.25


def test_a_runtime_gives_the_maps_of_its_network(
    scene: tuple[Recipe, Dataset], network: Network
) -> None:
    tiles = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3)).astype(np.uint8)
    maps = NetworkRuntime(network, scene[0]).run(tiles)
    with torch.no_grad():
        expected = network(torch.from_numpy(tiles))
    for got, wanted in zip(maps, expected, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, wanted.numpy(), atol=1e-6)
