"""Slides in an S3 store, which moto plays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from metaphase.detection.inputs import jobs_for_paths
from metaphase.errors import SlideError
from metaphase.slides.open import open_slide
from tests.slides.pictures import noise

pytest.importorskip("s3fs")
server = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    import fsspec

    path = tmp_path_factory.mktemp("s3") / "a.tif"
    tifffile.imwrite(
        path, noise(1024, 1024), tile=(256, 256), resolution=(40000, 40000), resolutionunit=3
    )
    moto = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    options = {"key": "a", "secret": "b", "endpoint_url": f"http://{host}:{port}"}
    before = fsspec.config.conf.get("s3")
    fsspec.config.conf["s3"] = options
    filesystem = fsspec.filesystem("s3")
    filesystem.mkdir("slides")
    filesystem.put(str(path), "slides/x/a.tif")
    filesystem.pipe("slides/x/notes.txt", b"text")
    try:
        yield "s3://slides"
    finally:
        moto.stop()
        fsspec.config.conf.pop("s3")
        if before is not None:
            fsspec.config.conf["s3"] = before


def test_a_slide_is_read_in_parts(bucket: str) -> None:
    with open_slide(f"{bucket}/x/a.tif") as slide:
        assert np.array_equal(slide.read(100, 200, 300, 50), noise(1024, 1024)[200:250, 100:400])
        assert slide.mpp == 0.25
        assert slide.remote_id


def test_a_folder_is_its_images(bucket: str) -> None:
    jobs = jobs_for_paths([Path(f"{bucket}/x")])
    assert [(job.name, job.image.name) for job in jobs] == [("a", "a.tif")]
    with jobs[0].open() as slide:
        assert slide.width_px == 1024


def test_what_is_not_there(bucket: str) -> None:
    with pytest.raises(SlideError, match="does not exist"):
        open_slide(f"{bucket}/x/b.tif")
