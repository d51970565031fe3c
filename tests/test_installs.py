"""The checks of distributions: what must be in a wheel, and which versions are the oldest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.dependencies import direct_requirements
from tests.installs import (
    BASE_EXTRAS,
    COMMANDS,
    FIRST_RESULT,
    IN_WHEEL,
    SIZES,
    check_contents,
    check_size,
    find_python,
    pinned,
    size_table,
)
from tests.test_documents import problem_of


def test_a_wheel_without_a_file_or_with_tests_is_refused() -> None:
    wheel = Path("metaphase-0.1.0-py3-none-any.whl")
    check_contents(wheel, IN_WHEEL)
    with pytest.raises(SystemExit, match=r"lacks \['metaphase/py.typed'\]"):
        check_contents(wheel, [name for name in IN_WHEEL if name != "metaphase/py.typed"])
    with pytest.raises(SystemExit, match="should not hold"):
        check_contents(wheel, [*IN_WHEEL, "tests/test_files.py"])


def test_the_oldest_version_is_the_lower_bound() -> None:
    assert pinned(Requirement("numpy>=1.26,<3")) == "numpy==1.26.*"
    assert len([pinned(r) for r in direct_requirements(BASE_EXTRAS)]) > 15


def test_a_future_python_is_not_found() -> None:
    assert find_python("3.99") is None


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell script")
def test_a_python_on_path_that_does_not_run_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / "shims" / "python3.99"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(shim.parent))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert find_python("3.99") is None
    real = tmp_path / "versions" / "3.99.1" / "bin" / "python"
    real.parent.mkdir(parents=True)
    real.symlink_to(sys.executable)
    assert find_python("3.99") == str(real)


def test_the_commands_that_are_tried_exist() -> None:
    commands = [*COMMANDS, FIRST_RESULT]
    assert [problem_of(f"metaphase {command}") for command in commands] == [None] * len(commands)


def test_packages_are_listed_by_size() -> None:
    sizes = {"small": 1_000_000, "large": 30_000_000, "tiny": 100_000, "least": 100_000}
    assert size_table(sizes, rows=2).splitlines() == [
        "   30.0 MB  large",
        "    1.0 MB  small",
        "    0.2 MB  2 other packages",
        "   31.2 MB  in all",
    ]


def test_a_large_environment_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """This one holds PyTorch."""
    pytest.importorskip("torch")
    with pytest.raises(SystemExit, match="more than 600"):
        check_size(Path(sys.executable))
    printed = capsys.readouterr().out
    assert " MB  torch" in printed
    assert " MB  pip\n" not in printed
    assert "distributions" in SIZES
