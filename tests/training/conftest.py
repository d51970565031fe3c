"""What the tests of this room share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A busy computer is no failure.
settings.register_profile("training", deadline=None)
settings.load_profile("training")


@pytest.fixture(scope="module")
def cheap_training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Train small networks in this module; all processes of a test run share the graphs."""
    from tests.training.cheap import kept_graphs, small_networks

    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with small_networks(), kept_graphs(shared / "graphs"):
        yield


@pytest.fixture
def one_thread() -> None:
    """Compute on one thread, as side by side with other tests."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
