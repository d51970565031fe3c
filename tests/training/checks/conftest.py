"""Fixtures of the tests of the checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.checks.patients import write_patient


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fourteen small cases of three scanners with labels."""
    return write_patient(tmp_path_factory.mktemp("midog"))
