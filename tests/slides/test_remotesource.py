"""Web servers and object stores: ranges, failures that pass, and errors with a way out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metaphase.errors import SlideError
from metaphase.imagefiles.find import SUFFIXES
from metaphase.slides import remotesource
from metaphase.slides.open import open_slide
from metaphase.slides.remote import RemoteFile
from metaphase.slides.remotesource import NoRangesError, StoreSource, images_under, source_of
from tests.slides.rangeserver import Files, serve

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

DATA = bytes(range(256)) * 1000


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remotesource, "FIRST_PAUSE_S", 0.0)


@pytest.fixture
def site() -> Iterator[Files]:
    with serve(Files({"a.tif": DATA})) as site:
        yield site


@pytest.mark.parametrize(
    ("status", "message"),
    [(403, "refuses access"), (401, "refuses access"), (404, "does not exist"), (418, "418")],
)
def test_errors_name_the_file_and_the_way_out(site: Files, status: int, message: str) -> None:
    site.status = [status]
    with pytest.raises(SlideError, match=message) as error:
        open_slide(f"{site.url}/a.tif?password=secret")
    assert "a.tif" in str(error.value)
    assert "secret" not in str(error.value)


def test_a_failure_that_passes_is_tried_again(site: Files) -> None:
    file = RemoteFile(f"{site.url}/a.tif")
    site.status = [503, 429]
    site.cut = 1
    assert file.read(100, 50) == DATA[100:150]


def test_a_body_that_stays_cut_is_an_error(site: Files) -> None:
    file = RemoteFile(f"{site.url}/a.tif")
    site.cut = 100
    with pytest.raises(SlideError, match="cannot be read from the server"):
        file.read(0, 50_000)


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remotesource, "TRIES", 1)
    with pytest.raises(SlideError, match="check the connection"):
        open_slide("http://127.0.0.1:9/a.tif")


def test_a_copy_has_a_limit(site: Files, tmp_path: Path) -> None:
    source = source_of(f"{site.url}/a.tif")
    assert source.copy(tmp_path / "a.tif", len(DATA)) == len(DATA)
    assert (tmp_path / "a.tif").read_bytes() == DATA
    with pytest.raises(SlideError, match="METAPHASE_SCRATCH_GB"):
        source.copy(tmp_path / "b.tif", len(DATA) - 1)


class Store:
    """A store in memory that can fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.files, self.error = {"s3://bucket/x/a.svs": DATA}, error

    def info(self, url: str) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        return {"size": len(self.files[url]), "ETag": "one", "type": "file"}

    def cat_file(self, url: str, start: int, end: int) -> bytes:
        return self.files[url][start:end]

    def get_file(self, url: str, target: str) -> None:
        Path(target).write_bytes(self.files[url])


def test_an_object_is_read_in_parts_and_copied(tmp_path: Path) -> None:
    source = StoreSource("s3://bucket/x/a.svs", Store())
    assert source.describe().size == len(DATA)
    assert source.fetch(10, 20) == DATA[10:20]
    assert source.copy(tmp_path / "a.svs", len(DATA)) == len(DATA)
    with pytest.raises(SlideError, match="at most"):
        source.copy(tmp_path / "a.svs", 10)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError("no"), "does not exist"),
        (PermissionError("no"), "credentials"),
        (RuntimeError("Unable to locate credentials"), "credentials"),
        (RuntimeError("the region is slow"), "the region is slow"),
    ],
)
def test_errors_of_a_store(error: Exception, message: str) -> None:
    with pytest.raises(SlideError, match=message):
        StoreSource("s3://bucket/x/a.svs", Store(error)).describe()


def test_an_image_and_a_web_address_are_no_folders() -> None:
    assert images_under("s3://bucket/a.svs", SUFFIXES) is None
    assert images_under("https://host/folder/", SUFFIXES) is None


@pytest.mark.parametrize(
    "total", ["*", "x", "-1", "9" * 5000, "\u0663", ""], ids=lambda t: ascii(t)[:8]
)
def test_a_size_that_is_no_number_is_not_believed(site: Files, total: str) -> None:
    site.total = total
    with pytest.raises(NoRangesError):
        RemoteFile(f"{site.url}/a.tif")


@pytest.mark.parametrize("wrong", ["shifted", "endless"])
def test_an_answer_to_another_question_is_refused(site: Files, wrong: str) -> None:
    file = RemoteFile(f"{site.url}/a.tif")
    site.wrong = wrong
    with pytest.raises(SlideError, match=r"instead of bytes 0|bytes"):
        file.read(0, 1000)
    assert sum(site.sent) < 100 << 20


@pytest.mark.parametrize("url", ["https://ho]st/a.svs?key=secret", "s3://bucket:x/a.svs"])
def test_a_wrong_address_is_named(url: str) -> None:
    with pytest.raises(SlideError, match="is no address of a server") as caught:
        source_of(url)
    assert "secret" not in str(caught.value)
