"""Slides on servers: the pixels of the file, read in parts, and errors that say what to do."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from metaphase.slides import remote
from metaphase.slides.open import open_slide
from metaphase.slides.remote import RemoteFile
from tests.slides.pictures import noise
from tests.slides.rangeserver import Files, serve

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

SIDE = 2048


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BLOCK_BYTES", 1 << 14)


@pytest.fixture(scope="module")
def tiff() -> bytes:
    stream = BytesIO()
    pixels = noise(SIDE, SIDE)
    with tifffile.TiffWriter(stream) as writer:
        writer.write(pixels, tile=(256, 256), resolution=(40000, 40000), resolutionunit=3)
        small = np.asarray(Image.fromarray(pixels).reduce(4))
        writer.write(small, tile=(256, 256), subfiletype=1)
    return stream.getvalue()


@pytest.fixture
def site(tiff: bytes) -> Iterator[Files]:
    with serve(Files({"a.tif": tiff, "folder/b.png": _png()})) as site:
        yield site


def _png() -> bytes:
    stream = BytesIO()
    Image.fromarray(noise(100, 80)).save(stream, "PNG")
    return stream.getvalue()


def test_a_tiff_is_read_in_parts(site: Files, tiff: bytes, tmp_path: Path) -> None:
    local = tmp_path / "a.tif"
    local.write_bytes(tiff)
    with open_slide(f"{site.url}/a.tif") as slide, open_slide(local) as expected:
        assert (slide.width_px, slide.mpp) == (SIDE, 0.25)
        assert slide.level_downsamples == expected.level_downsamples
        for x, y, mpp in ((10, 20, 0.25), (1500, 900, 0.25), (300, 0, 0.7)):
            assert np.array_equal(
                slide.read(x, y, 200, 150, mpp), expected.read(x, y, 200, 150, mpp)
            )
        assert sum(site.sent) < len(tiff) / 3
        before = len(site.sent)
        slide.read(10, 20, 200, 150)
        assert len(site.sent) == before  # cached
        assert slide.path.name == "a.tif"
        assert len(slide.remote_id) == 64
        again = pickle.loads(pickle.dumps(slide))
        assert np.array_equal(again.read(10, 20, 50, 50), expected.read(10, 20, 50, 50))


def test_another_size_or_version_has_another_id(site: Files) -> None:
    first = RemoteFile(f"{site.url}/a.tif?signature=1").id
    assert RemoteFile(f"{site.url}/a.tif?signature=2").id == first
    site.files["a.tif"] += b"more"
    assert RemoteFile(f"{site.url}/a.tif").id != first


def test_bytes_at_the_borders_of_blocks(site: Files, tiff: bytes) -> None:
    file = RemoteFile(f"{site.url}/a.tif")
    block = remote.BLOCK_BYTES
    for start, count in ((0, 1), (block - 1, 2), (block, block), (5, 3 * block), (len(tiff), 9)):
        assert file.read(start, count) == tiff[start : start + count]
    with file.stream() as stream:
        assert stream.seek(-7, 2) == len(tiff) - 7
        assert stream.read() == tiff[-7:]


def test_other_formats_are_copied_once(site: Files) -> None:
    with open_slide(f"{site.url}/folder/b.png", mpp=0.25) as slide:
        expected = noise(100, 80)
        assert np.array_equal(slide.read(0, 0, *expected.shape[1::-1]), expected)
        assert "copied from the server" in slide.notes[-1]
        assert slide.path.name == "b.png"
        assert slide.remote_id == ""
    sent = sum(site.sent)
    with open_slide(f"{site.url}/folder/b.png", mpp=0.25) as slide:
        assert (slide.height_px, slide.width_px) == noise(100, 80).shape[:2]
    assert sum(site.sent) - sent < len(site.files["folder/b.png"])


def test_a_server_without_ranges_is_copied(site: Files) -> None:
    site.ranges = False
    with open_slide(f"{site.url}/a.tif?norange") as slide:
        assert slide.width_px == SIDE
        assert "copied from the server" in slide.notes[-1]
