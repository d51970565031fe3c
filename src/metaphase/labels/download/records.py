"""The public records of MIDOG 2021 and MIDOG++: names, sizes, checksums and addresses of files.

MIDOG 2021's training set is Zenodo record 4643381 (doi 10.5281/zenodo.4643381), named by the
challenge's repository. MIDOG++ is figshare collection 6615571 (doi 10.6084/m9.figshare.c.6615571),
named by its repository and paper: one article an image. Both are read through their public JSON
APIs, whose fields are: Zenodo ``files[].key, size, checksum ("md5:..."), links.self``; figshare
``name, size, computed_md5, supplied_md5, download_url``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from metaphase.errors import InputError
from metaphase.labels.formats.midogfacts import Facts, facts_of

GetJson = Callable[[str], Any]
Listed = Callable[[int, int], None]

MAX_FILE_BYTES = 1 << 37
"""The largest file that a record may list (128 GiB); MIDOG's images have under 1 GiB."""

MAX_FILES = 10_000
"""The longest list of files or articles that a record may give."""

_NUMBERED = re.compile(r"\b(\d{3})\.tiff?\b", re.IGNORECASE)
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file of a record. ``md5`` is the published checksum in hexadecimal."""

    name: str
    url: str
    size: int
    md5: str


@dataclass(frozen=True, slots=True)
class Record:
    """A data set's public record."""

    key: str
    title: str
    api: str
    number: int
    site: str
    terms: str


RECORDS: dict[str, Record] = {
    "midog21": Record(
        key="midog21",
        title="MIDOG 2021 training set",
        api="https://zenodo.org/api",
        number=4643381,
        site="zenodo",
        terms="see doi.org/10.5281/zenodo.4643381; its label file says CC BY-NC-ND",
    ),
    "midogpp": Record(
        key="midogpp",
        title="MIDOG++",
        api="https://api.figshare.com/v2",
        number=6615571,
        site="figshare",
        terms="see doi.org/10.6084/m9.figshare.c.6615571; its label file says CC0",
    ),
}


def list_files(
    record: Record,
    get_json: GetJson,
    chosen: Callable[[str], bool] = lambda name: True,
    listed: Listed = lambda done, total: None,
) -> list[RemoteFile]:
    """Return the chosen files of a record, by name. Raises InputError if its answer is not usable.

    ``listed`` is called with the number of a collection's articles that were read, and of all.
    """
    if record.site == "zenodo":
        answer = get_json(f"{record.api}/records/{record.number}")
        remote = [_zenodo_file(record, row) for row in _rows(record, answer)]
    else:
        remote = _figshare_files(record, get_json, chosen, listed)
    files = {file.name: file for file in remote if chosen(file.name)}
    if not files:
        raise InputError.of(record.api, f"lists none of the chosen files of {record.title}")
    return [files[name] for name in sorted(files)]


def chosen_files(
    scanners: tuple[str, ...] = (), tumours: tuple[str, ...] = ()
) -> Callable[[str], bool]:
    """Return a test of file names: images of these scanners and tumours, and all label files."""

    def chosen(name: str) -> bool:
        number = _NUMBERED.search(name)
        if number is None:
            return Path(name).suffix.lower() in (".json", ".csv", ".sqlite")
        facts: Facts | None = facts_of(number[1])
        if facts is None:
            return not scanners and not tumours
        return (not scanners or facts.scanner in scanners) and (
            not tumours or facts.tumour in tumours
        )

    return chosen


def _rows(record: Record, answer: Any) -> list[Mapping[str, Any]]:
    """Return the rows of a list, or of Zenodo's ``files`` in either of its forms."""
    if isinstance(answer, dict):
        answer = answer.get("files", answer.get("entries"))
        if isinstance(answer, dict):
            answer = answer.get("entries")
        if isinstance(answer, dict):
            answer = list(answer.values())
    if (
        not isinstance(answer, list)
        or len(answer) > MAX_FILES
        or not all(isinstance(row, dict) for row in answer)
    ):
        raise InputError.of(
            record.api,
            f"gave an answer about {record.title} in an unknown form",
            way_out="try again later, or download the record by hand",
        )
    return answer


def _zenodo_file(record: Record, row: Mapping[str, Any]) -> RemoteFile:
    name = str(row.get("key") or row.get("filename") or "")
    links = row.get("links") if isinstance(row.get("links"), dict) else {}
    assert isinstance(links, dict)
    url = links.get("content") or links.get("self") or links.get("download")
    url = url or f"{record.api}/records/{record.number}/files/{quote(name)}/content"
    checksum = str(row.get("checksum", "")).removeprefix("md5:")
    return _remote(record, name, url, row.get("size", row.get("filesize")), checksum)


def _figshare_files(
    record: Record, get_json: GetJson, chosen: Callable[[str], bool], listed: Listed
) -> list[RemoteFile]:
    # One long page: figshare's order is not stable from one short page to the next.
    address = f"{record.api}/collections/{record.number}/articles?page=1&page_size=1000"
    articles = _rows(record, get_json(address))
    named = [row for row in articles if _may_hold(str(row.get("title", "")), chosen)]
    files = []
    for index, article in enumerate(named):
        listed(index, len(named))
        rows = _rows(record, get_json(f"{record.api}/articles/{article.get('id')}/files"))
        files += [_figshare_file(record, row) for row in rows if not row.get("is_link_only")]
    listed(len(named), len(named))
    return files


def _may_hold(title: str, chosen: Callable[[str], bool]) -> bool:
    """Skip an article only if its title names an image that was not chosen."""
    number = _NUMBERED.search(title)
    return number is None or chosen(number[0])


def _figshare_file(record: Record, row: Mapping[str, Any]) -> RemoteFile:
    md5 = str(row.get("computed_md5") or row.get("supplied_md5") or "")
    return _remote(record, str(row.get("name", "")), row.get("download_url"), row.get("size"), md5)


def _remote(record: Record, name: str, url: Any, size: Any, md5: str) -> RemoteFile:
    """Check a file's entry: its name must be no path, and its address no local file."""
    if (
        not name
        or name.startswith(".")
        or Path(name).name != name
        or "\\" in name
        or not str(url).startswith(("https://", "http://"))
        or not isinstance(size, int)
        or not 0 <= size <= MAX_FILE_BYTES
        or not _MD5.fullmatch(md5.lower())
    ):
        raise InputError.of(
            record.api,
            "does not give name, address, size and md5 in the known form",
            record=f"file {name!r}",
            way_out="download the record by hand",
        )
    return RemoteFile(name, str(url), size, md5.lower())
