"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real images and labels; the test is skipped where it is absent."""
    folder = Path(os.environ.get("METAPHASE_DATA", _BESIDE))
    if not (folder / "icpr2012").is_dir():
        pytest.skip(f"no real data in {folder} (set METAPHASE_DATA)")
    return folder
