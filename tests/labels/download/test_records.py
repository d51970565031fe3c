"""Lists of files of public records: which answers are read, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest

from metaphase.errors import InputError
from metaphase.labels.download import records
from metaphase.labels.download.records import (
    MAX_FILE_BYTES,
    RECORDS,
    RemoteFile,
    chosen_files,
    list_files,
)

GOOD = {"key": "001.tiff", "size": 1, "checksum": "md5:" + "0" * 32, "links": {"self": "https://a"}}


@pytest.mark.parametrize(
    "answer",
    [
        {"files": [GOOD]},
        {"entries": [GOOD]},
        {"files": {"entries": {"001.tiff": GOOD}}},
        {"files": [{**GOOD, "links": {}}]},
        [GOOD],
    ],
)
def test_forms_of_a_records_answer(answer: object) -> None:
    (file,) = list_files(RECORDS["midog21"], lambda url: answer)
    assert (file.name, file.size, file.md5) == ("001.tiff", 1, "0" * 32)
    assert file.url.startswith("https://")


@pytest.mark.parametrize(
    "change",
    [
        {"key": "../001.tiff"},
        {"key": ".bashrc"},
        {"key": "a\\001.tiff"},
        {"links": {"self": "file:///etc/passwd"}},
        {"size": "many"},
        {"checksum": "sha1:1"},
    ],
)
def test_what_a_record_says_is_checked(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="does not give name, address, size and md5"):
        list_files(RECORDS["midog21"], lambda url: {"files": [{**GOOD, **change}]})


@pytest.mark.parametrize("answer", [None, [], {}, {"files": 3}, ["x"]])
def test_answers_that_are_not_understood(answer: object) -> None:
    with pytest.raises(InputError):
        list_files(RECORDS["midog21"], lambda url: answer)


def test_which_files_are_chosen() -> None:
    wanted = chosen_files(("Aperio CS2",), ("canine cutaneous mast cell tumor",))
    assert wanted("300.tiff")
    assert not wanted("101.tiff")
    assert not wanted("700.tiff")
    assert wanted("MIDOG++.json")
    assert not wanted("paper.pdf")
    assert chosen_files()("700.tiff"), "without a choice, also images nobody knows of"


def test_files_are_listed_once_by_name() -> None:
    names = ["051.tiff", "001.tiff", "notes.pdf", "001.tiff"]
    answer = {"files": [{**GOOD, "key": name} for name in names]}
    files = list_files(RECORDS["midog21"], lambda url: answer, chosen_files())
    assert [file.name for file in files] == ["001.tiff", "051.tiff"]


def test_nothing_chosen_is_an_error() -> None:
    with pytest.raises(InputError, match="lists none of the chosen files"):
        list_files(RECORDS["midog21"], lambda url: [GOOD], lambda name: False)


def test_sizes_have_a_limit() -> None:
    answer = [{**GOOD, "size": MAX_FILE_BYTES}]
    assert list_files(RECORDS["midog21"], lambda url: answer)[0].size == MAX_FILE_BYTES
    for size in (MAX_FILE_BYTES + 1, -1):
        with pytest.raises(InputError, match="size"):
            list_files(RECORDS["midog21"], lambda url, size=size: [{**GOOD, "size": size}])


def test_lists_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_FILES", 2)
    assert list_files(RECORDS["midog21"], lambda url: [GOOD] * 2)
    with pytest.raises(InputError, match="unknown form"):
        list_files(RECORDS["midog21"], lambda url: [GOOD] * 3)


def test_only_articles_that_may_hold_a_chosen_file_are_asked() -> None:
    record, asked, progress = RECORDS["midogpp"], [], []
    titles = {1: "MIDOG++ 001.tiff", 2: "MIDOG++ 101.tiff", 3: "labels"}
    file = {"size": 5, "computed_md5": "A" * 32, "download_url": "https://a/1"}
    names = {1: "001.tiff", 3: "MIDOG++.json"}

    def get_json(url: str) -> Any:
        if "/collections/" in url:
            return [{"id": number, "title": title} for number, title in titles.items()]
        number = int(url.split("/")[-2])
        asked.append(number)
        link = {"name": "elsewhere.json", "is_link_only": True}
        return [{**file, "name": names[number]}, link]

    files = list_files(
        record,
        get_json,
        chosen_files(("Hamamatsu XR",)),
        lambda done, total: progress.append((done, total)),
    )
    assert asked == [1, 3]
    assert progress == [(0, 2), (1, 2), (2, 2)]
    assert files == [
        RemoteFile("001.tiff", "https://a/1", 5, "a" * 32),
        RemoteFile("MIDOG++.json", "https://a/1", 5, "a" * 32),
    ]
