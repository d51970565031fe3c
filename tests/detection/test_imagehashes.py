"""The table of hashes: unchanged files are known, changed and fresh ones are not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from metaphase.detection import imagehashes
from metaphase.detection.imagehashes import HASHES_NAME, ImageHashes


@pytest.fixture(autouse=True)
def _small_files_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagehashes, "LEAST_BYTES", 1)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"pixels")
    settle(path)
    return path


def settle(path: Path, seconds: float = 60) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def table(tmp_path: Path) -> ImageHashes:
    return ImageHashes(tmp_path / HASHES_NAME)


def test_a_hash_is_known_in_the_next_run(tmp_path: Path, image: Path) -> None:
    first = table(tmp_path)
    assert first.get(image) is None
    first.add(image, "abc")
    assert table(tmp_path).get(image) == "abc"


def test_a_changed_file_is_not_known(tmp_path: Path, image: Path) -> None:
    hashes = table(tmp_path)
    hashes.add(image, "abc")
    settle(image, 30)
    assert hashes.get(image) is None
    settle(image)
    hashes.add(image, "abc")
    other = tmp_path / "b.png"
    other.write_bytes(b"stains")
    os.utime(other, ns=(image.stat().st_atime_ns, image.stat().st_mtime_ns))
    other.replace(image)  # same size and time, another file
    assert hashes.get(image) is None


def test_a_file_that_was_just_written_is_not_kept(tmp_path: Path, image: Path) -> None:
    settle(image, 0)
    hashes = table(tmp_path)
    hashes.add(image, "abc")
    assert hashes.get(image) is None
    assert not (tmp_path / HASHES_NAME).exists()


def test_a_file_that_changed_while_it_was_hashed_is_not_kept(tmp_path: Path, image: Path) -> None:
    hashes = table(tmp_path)
    hashes.add(image, "abc", began=image.stat().st_mtime - 1)
    assert hashes.get(image) is None


@pytest.mark.parametrize("name", ["a.mrxs", "a.vms", "a.dcm", "a"])
def test_slides_of_several_files_are_not_kept(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"index")
    settle(path)
    hashes = table(tmp_path)
    hashes.add(path, "abc")
    assert hashes.get(path) is None


def test_a_damaged_table_loses_its_damaged_lines_only(tmp_path: Path, image: Path) -> None:
    hashes = table(tmp_path)
    hashes.add(image, "abc")
    path = tmp_path / HASHES_NAME
    path.write_bytes(b"\xff[1]\nnull\n" + path.read_bytes() + b'["cut", 1')
    assert table(tmp_path).get(image) == "abc"


def test_small_files_are_not_kept(tmp_path: Path, image: Path) -> None:
    imagehashes.LEAST_BYTES = 100
    hashes = table(tmp_path)
    hashes.add(image, "abc")
    assert hashes.get(image) is None


def test_images_without_a_file_have_no_hash(tmp_path: Path) -> None:
    hashes = table(tmp_path)
    hashes.add(tmp_path / "missing.png", "abc")
    assert hashes.get(tmp_path / "missing.png") is None
