from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from metaphase.errors import InputError, InterruptedRunError
from metaphase.labels.download import midog as module
from metaphase.labels.download.http import Fetcher
from metaphase.labels.download.midog import DownloadProgress, download
from metaphase.labels.download.records import RemoteFile
from tests.labels.server import Site, serve

BIG = bytes(range(256)) * 4000
FILES = {
    "001.tiff": BIG,
    "051.tiff": b"two" * 99,
    "151.tiff": b"three",
    "MIDOG.json": b"{}",
    "README.pdf": b"not wanted",
}


class Pauses(list[float]):
    """Stands for sleeping: tests do not wait."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def fetcher(pauses: Pauses) -> Fetcher:
    return Fetcher(tries=3, timeout_s=5, first_pause_s=1, pause=pauses)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve(Site(dict(FILES))) as running:
        yield running


def get(site: Site, out: Path, fetcher: Fetcher, key: str = "midog21", **options: object):
    return download(key, out, api=site.url, fetcher=fetcher, **options)  # type: ignore[arg-type]


def test_everything_comes_and_nothing_else(site: Site, tmp_path: Path, fetcher: Fetcher) -> None:
    done = get(site, tmp_path / "new", fetcher)
    assert done.fetched == ("001.tiff", "051.tiff", "151.tiff", "MIDOG.json")
    assert {p.name: p.read_bytes() for p in (tmp_path / "new").iterdir()} == {
        name: data for name, data in FILES.items() if name != "README.pdf"
    }


def test_a_second_time_nothing_comes(site: Site, tmp_path: Path, fetcher: Fetcher) -> None:
    get(site, tmp_path, fetcher)
    site.seen.clear()
    done = get(site, tmp_path, fetcher)
    assert done.fetched == ()
    assert len(done.kept) == 4
    assert site.ranges_seen() == []


def test_only_the_scanners_that_are_asked_for(site: Site, tmp_path: Path, fetcher: Fetcher) -> None:
    done = get(site, tmp_path, fetcher, scanners=["hamamatsu s360", "Leica GT450"])
    assert done.fetched == ("051.tiff", "151.tiff", "MIDOG.json"), "label files always come"


def test_a_broken_connection_is_resumed_where_it_broke(
    site: Site, tmp_path: Path, fetcher: Fetcher, pauses: Pauses
) -> None:
    site.breaks = [300_000, 400_000]
    get(site, tmp_path, fetcher, scanners=["Hamamatsu XR"])
    assert (tmp_path / "001.tiff").read_bytes() == BIG
    assert site.ranges_seen()[:3] == [None, "bytes=300000-", "bytes=700000-"]
    assert pauses == [1, 1], "whoever gets on is not made to wait longer"


def test_a_broken_run_is_resumed_by_the_next(site: Site, tmp_path: Path, fetcher: Fetcher) -> None:
    site.breaks = [300_000, 0, 0]
    with pytest.raises(InputError, match="broke after 300000 of 1024000 bytes"):
        get(site, tmp_path, fetcher, scanners=["Hamamatsu XR"])
    assert (tmp_path / "001.tiff.part").stat().st_size == 300_000
    assert not (tmp_path / "001.tiff").exists(), "a name stands for a whole file"
    assert (tmp_path / "MIDOG.json").exists(), "the others came"
    site.seen.clear()
    done = get(site, tmp_path, fetcher, scanners=["Hamamatsu XR"])
    assert done.fetched == ("001.tiff",)
    assert site.ranges_seen() == ["bytes=300000-"]
    assert (tmp_path / "001.tiff").read_bytes() == BIG
    assert not (tmp_path / "001.tiff.part").exists()


def test_a_server_without_ranges_starts_again(site: Site, tmp_path: Path, fetcher: Fetcher) -> None:
    site.ranges = False
    site.breaks = [300_000]
    get(site, tmp_path, fetcher, scanners=["Hamamatsu XR"])
    assert (tmp_path / "001.tiff").read_bytes() == BIG


def test_a_wrong_checksum_is_never_given_the_name(
    site: Site, tmp_path: Path, fetcher: Fetcher
) -> None:
    site.md5["001.tiff"] = "0" * 32
    with pytest.raises(InputError, match=r"001\.tiff: was downloaded twice with another md5"):
        get(site, tmp_path, fetcher, scanners=["Hamamatsu XR"])
    assert [p.name for p in tmp_path.iterdir()] == ["MIDOG.json"]
    assert len(site.ranges_seen()) == 3, "twice, and the label file"


def test_a_part_of_another_file_is_replaced(site: Site, tmp_path: Path, fetcher: Fetcher) -> None:
    """Resuming it gives a wrong md5 first; then it comes anew."""
    (tmp_path / "001.tiff.part").write_bytes(b"\xee" * 5000)
    get(site, tmp_path, fetcher, scanners=["Hamamatsu XR"])
    assert (tmp_path / "001.tiff").read_bytes() == BIG
    assert site.ranges_seen()[:2] == ["bytes=5000-", None]


@pytest.mark.parametrize("size", [len(BIG), len(BIG) + 10])
def test_a_part_that_is_long_enough_but_wrong(
    site: Site, tmp_path: Path, fetcher: Fetcher, size: int
) -> None:
    (tmp_path / "001.tiff.part").write_bytes(b"\xee" * size)
    get(site, tmp_path, fetcher, scanners=["Hamamatsu XR"])
    assert (tmp_path / "001.tiff").read_bytes() == BIG


def test_a_part_that_is_whole_is_only_checked(site: Site, tmp_path: Path, fetcher: Fetcher) -> None:
    (tmp_path / "001.tiff.part").write_bytes(BIG)
    get(site, tmp_path, fetcher, scanners=["Hamamatsu XR"])
    assert (tmp_path / "001.tiff").read_bytes() == BIG
    assert site.ranges_seen() == [None], "only the label file was asked for"


def test_an_empty_file_comes_too(site: Site, tmp_path: Path, fetcher: Fetcher) -> None:
    site.files["MIDOG.json"] = b""
    get(site, tmp_path, fetcher, scanners=["Hamamatsu XR"])
    assert (tmp_path / "MIDOG.json").read_bytes() == b""


def test_busy_servers_are_waited_for(
    site: Site, tmp_path: Path, fetcher: Fetcher, pauses: Pauses
) -> None:
    site.fails = [(503, {}), (429, {"Retry-After": "7"})]
    get(site, tmp_path, fetcher, scanners=["Hamamatsu XR"])
    assert pauses == [1, 7], "as long as the server asks for"


def test_pauses_grow_until_it_is_given_up(
    site: Site, tmp_path: Path, fetcher: Fetcher, pauses: Pauses
) -> None:
    site.fails = [(500, {})] * 3
    with pytest.raises(InputError, match=r"failed 3 times.*500"):
        get(site, tmp_path, fetcher)
    assert pauses == [1, 2]


def test_a_moved_record_is_told_at_once(
    site: Site, tmp_path: Path, fetcher: Fetcher, pauses: Pauses
) -> None:
    with pytest.raises(InputError, match="404"):
        download("midog21", tmp_path, api=site.url + "/old", fetcher=fetcher)
    assert pauses == []


def test_nobody_there(tmp_path: Path, fetcher: Fetcher) -> None:
    with serve(Site({})) as gone:
        address = gone.url
    with pytest.raises(InputError, match="failed 3 times"):
        download("midog21", tmp_path, api=address, fetcher=fetcher)


def test_damaged_files_are_found_by_verify(site: Site, tmp_path: Path, fetcher: Fetcher) -> None:
    get(site, tmp_path, fetcher)
    (tmp_path / "051.tiff").write_bytes(b"xxx" * 99)
    assert get(site, tmp_path, fetcher).fetched == (), "same size: not read again unless asked"
    assert get(site, tmp_path, fetcher, verify=True).fetched == ("051.tiff",)
    assert (tmp_path / "051.tiff").read_bytes() == FILES["051.tiff"]


def test_a_full_disk_is_told_before_anything_comes(
    site: Site, tmp_path: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=r"only 0\.0 GB are free"):
        get(site, tmp_path / "new", fetcher)
    assert site.ranges_seen() == []


def test_stopping_says_how_to_go_on(site: Site, tmp_path: Path, fetcher: Fetcher) -> None:
    class Stop(DownloadProgress):
        def grew(self, file: RemoteFile, size: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="same command again"):
        get(site, tmp_path, fetcher, progress=Stop())


def test_progress_is_told(site: Site, tmp_path: Path, fetcher: Fetcher) -> None:
    class Listener(DownloadProgress):
        sizes: list[int]
        missing: int

        def planned(self, files: list[RemoteFile], missing: list[RemoteFile]) -> None:
            self.sizes, self.missing = [], len(missing)

        def grew(self, file: RemoteFile, size: int) -> None:
            if file.name == "001.tiff":
                self.sizes.append(size)

    listener = Listener()
    get(site, tmp_path, fetcher, progress=listener)
    assert listener.missing == 4
    assert listener.sizes == sorted(listener.sizes)
    assert listener.sizes[-1] == len(BIG)


@pytest.mark.parametrize(
    ("key", "options", "said"),
    [
        ("midog25", {}, "one of midog21, midogpp"),
        ("midog21", {"scanners": ["Zeiss"]}, "has no scanner 'Zeiss'"),
        ("midog21", {"scanners": ["3DHistech"]}, "has no scanner '3DHistech'"),
        ("midogpp", {"scanners": ["Leica GT450"]}, "has no scanner 'Leica GT450'"),
        ("midog21", {"tumours": ["human melanoma"]}, "has no tumour"),
    ],
)
def test_unknown_names(tmp_path: Path, key: str, options: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        download(key, tmp_path, api="http://127.0.0.1:9", **options)


def test_midogpp_is_a_collection_of_articles(site: Site, tmp_path: Path, fetcher: Fetcher) -> None:
    site.files["201.tiff"] = b"lung"
    del site.files["151.tiff"]
    done = get(site, tmp_path, fetcher, "midogpp", tumours=["Canine lung cancer"])
    assert done.fetched == ("201.tiff", "MIDOG.json")
    asked = [path for path, _ in site.seen if path.startswith("/articles/")]
    assert "/articles/0/files" not in asked, "titles tell which articles need not be asked for"


def test_articles_whose_titles_tell_nothing_are_asked(
    site: Site, tmp_path: Path, fetcher: Fetcher
) -> None:
    site.titles = dict.fromkeys(site.files, "MIDOG++")
    done = get(site, tmp_path, fetcher, "midogpp", scanners=["Hamamatsu XR"])
    assert done.fetched == ("001.tiff", "MIDOG.json")
