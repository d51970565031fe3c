"""Copies of remote files: made once, within a limit, and never half."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.errors import InputError, SlideError
from metaphase.slides.scratch import LIMIT_VARIABLE, Scratch, scratch


class Bytes:
    """A source of a number of bytes."""

    def __init__(self, size: int, error: Exception | None = None) -> None:
        self.size, self.error, self.copies = size, error, 0

    def copy(self, target: Path, limit: int) -> int:
        target.write_bytes(b"x" * self.size)
        if self.error is not None:
            raise self.error
        self.copies += 1
        return self.size


def test_a_file_is_copied_once_and_keeps_its_name(tmp_path: Path) -> None:
    copies, source = Scratch(100, tmp_path), Bytes(10)
    path = copies.copy("https://host/a.ndpi?key=1", source)
    assert path.name == "a.ndpi"
    assert path.read_bytes() == b"x" * 10
    assert copies.copy("https://host/a.ndpi?key=1", source) == path
    assert source.copies == 1


def test_the_oldest_copies_make_room(tmp_path: Path) -> None:
    copies = Scratch(25, tmp_path)
    first, second = (copies.copy(f"s3://b/{name}", Bytes(10)) for name in "ab")
    copies.copy("s3://b/a", Bytes(10))  # used again
    third = copies.copy("s3://b/c", Bytes(10))
    assert [path.exists() for path in (first, second, third)] == [True, False, True]


def test_nothing_is_left_of_a_copy_that_failed(tmp_path: Path) -> None:
    copies = Scratch(100, tmp_path)
    with pytest.raises(SlideError, match="TMPDIR"):
        copies.copy("s3://b/a", Bytes(10, OSError(28, "No space left on device")))
    assert list(tmp_path.iterdir()) == []


def test_all_copies_are_removed_with_the_folder() -> None:
    copies = Scratch(100)
    path = copies.copy("s3://b/a", Bytes(10))
    copies.close()
    assert not path.exists()
    assert not copies.folder.exists()


@pytest.mark.parametrize("text", ["many", "0", "-1", "nan"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, text)
    with pytest.raises(InputError, match="gigabytes"):
        scratch()
    monkeypatch.delenv(LIMIT_VARIABLE)
    assert scratch() is scratch()
