from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from metaphase.errors import RecipeError
from metaphase.labels.dataset import Dataset
from metaphase.models.networks import Network
from metaphase.training.adapt.base import Method
from metaphase.training.adapt.options import AdaptOptions
from metaphase.training.adapt.registry import register, unregister
from metaphase.training.adapt.training import Adapting, common_by, setting_of
from metaphase.training.data.trainingdata import Unlabelled
from metaphase.training.patches.dataset import PatchDataset, patch_dataset
from metaphase.training.recipe.anchors import DEFAULT_BOX_UM
from metaphase.training.recipe.recipe import Recipe
from tests.training.adapt.scenes import tiny_network
from tests.training.helpers import make_recipe, small_dataset


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_dataset(tmp_path_factory.mktemp("cases"))


@pytest.fixture(scope="module")
def network() -> Network:
    return tiny_network()


@pytest.fixture
def finished() -> Iterator[list[object]]:
    """Register two methods that note what they are called with."""
    calls: list[object] = []

    class Using(Method):
        """Uses unlabelled patches."""

        name = "using"
        unlabelled = "used"

        def finish(
            self, network: Network, draw: Callable[[int], Iterator[torch.Tensor]] | None
        ) -> None:
            calls.append(None if draw is None else [len(batch) for batch in draw(5)])

    class Without(Using):
        """Uses labels only."""

        name = "without"
        unlabelled = "unused"

    for method in (Using, Without):
        register(method)
    yield calls
    for method in (Using, Without):
        unregister(method.name)


def recipe_with(*tables: dict[str, object], **sections: object) -> Recipe:
    return make_recipe(adapt=list(tables), trainer={"batch_size": 4, "cache_mb": 0}, **sections)


def adapting(
    recipe: Recipe, network: Network, cases: Dataset, *, unlabelled: bool = True
) -> tuple[Adapting, PatchDataset]:
    labelled = cases.labelled()
    patches = patch_dataset(recipe, labelled)
    others = Unlabelled(cases.where(lambda case: not case.labelled), {}) if unlabelled else None
    return Adapting(recipe, network, patches, others), patches


def test_without_methods_nothing_happens(network: Network, cases: Dataset) -> None:
    recipe = make_recipe(trainer={"cache_mb": 0})
    none, patches = adapting(recipe, network, cases)
    assert none.methods == []
    assert none.unlabelled is None
    assert patches.domain_codes == {}
    none.finish(network)


def test_domains_get_codes_in_the_order_of_the_cases(
    network: Network, cases: Dataset, finished: list[object]
) -> None:
    both, patches = adapting(recipe_with({"method": "using"}), network, cases)
    assert patches.domain_codes == {"a": 0, "b": 1, "c": 1}
    assert both.unlabelled is not None
    assert {both.unlabelled.pair(0, i).plain.domain for i in range(3)} == {2}


def test_domains_are_those_that_the_methods_name(
    network: Network, cases: Dataset, finished: list[object]
) -> None:
    _, patches = adapting(recipe_with({"method": "using", "by": "group"}), network, cases)
    assert patches.domain_codes == {"a": 0, "b": 1, "c": 2}


def test_a_part_of_the_batch_is_unlabelled(
    network: Network, cases: Dataset, finished: list[object]
) -> None:
    """The largest part that a method asks for; an epoch has a batch of them a step."""
    recipe = recipe_with(
        {"method": "using", "unlabelled_share": 0.5}, {"method": "without", "unlabelled_share": 1.5}
    )
    both, patches = adapting(recipe, network, cases)
    assert both.batch_size == 6
    assert both.unlabelled is not None
    assert len(both.unlabelled) == 6 * (len(patches) // 4)
    tiny = recipe_with({"method": "using", "unlabelled_share": 0.01})
    assert adapting(tiny, network, cases)[0].batch_size == 1


def test_unlabelled_patches_are_read_only_where_a_method_uses_them(
    network: Network, cases: Dataset, finished: list[object]
) -> None:
    assert adapting(recipe_with({"method": "without"}), network, cases)[0].unlabelled is None
    using = recipe_with({"method": "using"})
    assert adapting(using, network, cases, unlabelled=False)[0].unlabelled is None


def test_methods_are_in_the_order_of_the_recipe_and_finish_in_it(
    network: Network, cases: Dataset, finished: list[object]
) -> None:
    recipe = recipe_with({"method": "without"}, {"method": "using"})
    both, _ = adapting(recipe, network, cases)
    assert [method.name for method in both.methods] == ["without", "using"]
    both.finish(network)
    assert finished == [[5], [5]]
    alone, _ = adapting(recipe, network, cases, unlabelled=False)
    alone.finish(network)
    assert finished[2:] == [None, None]


@pytest.mark.parametrize("name", ["adabn", "mean-teacher"])
def test_a_method_that_needs_unlabelled_cases_is_refused_without(
    network: Network, cases: Dataset, name: str
) -> None:
    with pytest.raises(RecipeError, match="needs unlabelled cases") as caught:
        adapting(recipe_with({"method": name}), network, cases, unlabelled=False)
    (problem,) = caught.value.problems
    assert problem.record == "adapt"
    assert name in problem.message
    assert problem.way_out == "name them in data.split.unlabelled"


# --- settings


def test_methods_get_sizes_in_um(network: Network) -> None:
    recipe = make_recipe(data={"box_um": 10.0}, validation={"merge_radius_um": 4.0})
    setting = setting_of(recipe, network, ("A", "B"), 3)
    assert (setting.box_um, setting.merge_radius_um) == (10.0, 4.0)
    assert (setting.domains, setting.unlabelled) == (("A", "B"), 3)
    assert setting.network is network
    assert setting_of(make_recipe(), network, (), 0).box_um == DEFAULT_BOX_UM


@pytest.mark.parametrize(
    ("balance_by", "named", "by"),
    [
        ("tumour", (None, None), "tumour"),
        ("none", (None,), "scanner"),
        ("scanner", ("group", None), "group"),
        ("scanner", ("group", "group"), "group"),
    ],
)
def test_all_methods_tell_the_same_domains_apart(
    balance_by: str, named: tuple[str | None, ...], by: str
) -> None:
    recipe = make_recipe(sampling={"balance_by": balance_by})
    options = tuple(AdaptOptions(method="adabn", by=name) for name in named)  # type: ignore[arg-type]
    assert common_by(recipe, options) == by


def test_two_kinds_of_domains_are_refused(tmp_path: Path) -> None:
    options = tuple(AdaptOptions(method="adabn", by=name) for name in ("group", "scanner"))  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="group, scanner") as caught:
        common_by(make_recipe(), options)
    assert caught.value.problems[0].record == "adapt.by"
    assert caught.value.problems[0].way_out
