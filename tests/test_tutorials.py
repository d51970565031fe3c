"""The commands of the tutorials, run one after the other as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MARK = "<!-- executed by tests/test_tutorials.py -->\n"
BLOCK = re.compile(re.escape(MARK) + r"```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
TRAINS = {"exercise"}


def blocks(page: Path) -> list[str]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def params() -> list[object]:
    return [
        pytest.param(page, id=page.stem, marks=[pytest.mark.slow] if page.stem in TRAINS else [])
        for page in TUTORIALS
        if blocks(page)
    ]


@pytest.mark.parametrize("page", params())
def test_the_commands_of_a_tutorial_work(page: Path, tmp_path: Path) -> None:
    if page.stem in TRAINS:
        pytest.importorskip("torch")
    shell = f'set -euo pipefail\nmetaphase() {{ "{sys.executable}" -m metaphase "$@"; }}\n'
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    for block in blocks(page):
        done = subprocess.run(
            ["bash", "-c", shell + block],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        assert "deprecated" not in done.stderr, done.stderr


def test_three_tutorials_are_executed() -> None:
    assert len(params()) >= 3
