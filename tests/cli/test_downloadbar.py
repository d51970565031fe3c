"""What a download prints on stderr, without a terminal: its state at the end."""

from __future__ import annotations

import pytest

from metaphase.cli.downloadbar import DownloadBar
from metaphase.labels.download.records import RemoteFile

A = RemoteFile("a.tiff", "https://example.org/a", 400, "0" * 32)
B = RemoteFile("b.tiff", "https://example.org/b", 100, "1" * 32)


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def test_all_bytes_and_the_current_file_are_shown(capsys):
    with DownloadBar() as bar:
        bar.planned([A, B, A], [A, B])
        bar.grew(A, 400)
        bar.grew(B, 25)
    shown = capsys.readouterr()
    assert shown.out == ""
    whole, one = shown.err.splitlines()[-2:]
    assert whole.startswith("2 of 3 files")
    assert "425/500 bytes" in whole
    assert one.startswith("b.tiff")
    assert "25/100 bytes" in one


def test_a_file_that_starts_again_is_not_counted_twice(capsys):
    with DownloadBar() as bar:
        bar.planned([A], [A])
        bar.grew(A, 300)
        bar.grew(A, 20)
    assert "20/400 bytes" in capsys.readouterr().err.splitlines()[-2]


def test_before_the_files_are_known_the_pages_are_counted(capsys):
    with DownloadBar() as bar:
        bar.listed(3, 7)
    assert "reading the record: 3 of 7" in capsys.readouterr().err


def test_an_error_passes_through():
    with pytest.raises(KeyboardInterrupt), DownloadBar():
        raise KeyboardInterrupt
