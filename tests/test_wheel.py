"""A person needs Python alone: the wheel holds the page, OpenSeadragon included."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from metaphase.viewer import pagefiles

HERE = Path(__file__).resolve().parents[1]
LOOK = """
import metaphase, pathlib, sys
from metaphase.viewer.pagefiles import page_files
assert pathlib.Path(metaphase.__file__).is_relative_to(sys.path[0]), metaphase.__file__
files = page_files()
print(len(files), files["vendor/openseadragon.min.js"][0].stat().st_size)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not (pagefiles.VENDOR / pagefiles.NEEDED[0]).is_file(),
    reason="this copy was built without the page's third-party files",
)
def test_a_wheel_holds_the_page(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", str(HERE), "--no-deps", "-q", "-w", "wheel"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    if done.returncode and "No matching distribution" in done.stderr:
        pytest.skip("hatchling cannot be fetched here")
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    own = {path.name for path in pagefiles.PAGE.iterdir() if path.is_file()}
    assert own <= {Path(name).name for name in names if "/viewer/page/" in name}
    assert "metaphase/recipes/compact.toml" in names
    assert not any(name.startswith(("tests/", "benchmarks/", "studies/")) for name in names)
    # The page is served from the wheel's own files, by nothing but Python.
    look = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n" + LOOK,
    ]
    told = subprocess.run(look, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert int(told.stdout.split()[1]) > 100_000
