"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy computer is no failure.
settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")

# A configuration file of the user must not change results.
os.environ["METAPHASE_CONFIG"] = ""

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of training first: they take longest, and processes should end together."""
    items.sort(key=lambda item: "training" not in item.path.parts)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real images and labels; the test is skipped where it is absent."""
    folder = Path(os.environ.get("METAPHASE_DATA", _DATA))
    if not (folder / "icpr2012").is_dir():
        pytest.skip(f"no real data in {folder} (set METAPHASE_DATA)")
    return folder
