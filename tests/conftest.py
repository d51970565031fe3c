"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.beside import CLAIMS, run_files

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Share the files of tests with the process beside, where there is one."""
    claims = os.environ.get(CLAIMS)
    if claims is None or session.config.option.collectonly:
        return None
    run_files(session, Path(claims))
    return True


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real images and labels; the test is skipped where it is absent."""
    folder = Path(os.environ.get("METAPHASE_DATA", _BESIDE))
    if not (folder / "icpr2012").is_dir():
        pytest.skip(f"no real data in {folder} (set METAPHASE_DATA)")
    return folder
