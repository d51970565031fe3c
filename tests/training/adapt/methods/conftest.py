from __future__ import annotations

import pytest

from metaphase.models.networks import Network
from metaphase.training.recipe.recipe import Recipe
from tests.training.adapt.scenes import tiny_network
from tests.training.helpers import make_recipe


@pytest.fixture
def recipe() -> Recipe:
    return make_recipe()


@pytest.fixture
def network() -> Network:
    return tiny_network()
