from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from metaphase.errors import OutputError
from metaphase.files import (
    NotRegularFileError,
    append_text,
    check_regular,
    open_regular,
    open_text,
    read_bytes,
    read_text,
    real_path,
    sha256_of_file,
    whole_file,
    write_bytes,
    write_json,
    write_text,
)


class Crash(Exception):
    pass


def test_a_crash_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def write_half() -> None:
        with whole_file(target) as temporary:
            temporary.write_text("half")
            raise Crash

    with pytest.raises(Crash):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_nobody_sees_half_a_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with whole_file(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == tmp_path, "renaming works only on one disk"
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [target]


def test_folders_are_made(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "b" / "c.bin", b"\x00\xff")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"\x00\xff"


def test_the_temporary_name_keeps_the_suffix(tmp_path: Path) -> None:
    # Writers of images choose the format by it.
    with whole_file(tmp_path / "a.png") as temporary:
        assert temporary.suffix == ".png"


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_others_may_read_as_far_as_the_umask_lets_them(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
        assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640
        assert os.umask(0o027) == 0o027, "the umask is as it was"
    finally:
        os.umask(old)


def test_text_is_utf8_with_plain_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "µm\nnext\n")
    assert (tmp_path / "a.txt").read_bytes() == "µm\nnext\n".encode()


def test_json_refuses_what_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"score": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_json_keeps_letters_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"unit": "µm"})
    assert "µm" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_fingerprint_of_a_file_larger_than_a_chunk(tmp_path: Path) -> None:
    data = os.urandom((1 << 20) + 17)
    write_bytes(tmp_path / "a.bin", data)
    assert sha256_of_file(tmp_path / "a.bin") == hashlib.sha256(data).hexdigest()


def test_regular_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_bytes(path) == path.read_bytes()
    assert read_text(path, "utf-8-sig") == path.read_text(encoding="utf-8-sig")
    with open_text(path, "utf-8-sig") as stream:
        assert stream.read() == "a\r\nb\rc\n"
    check_regular(path)


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")


@needs_pipes
@pytest.mark.parametrize(
    "read", [read_bytes, read_text, open_regular, open_text, check_regular, sha256_of_file]
)
def test_a_named_pipe_is_refused_at_once(tmp_path: Path, read: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotRegularFileError, match="named pipe"):
        read(tmp_path / "pipe")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices on this system")
def test_a_device_without_an_end_is_refused() -> None:
    with pytest.raises(NotRegularFileError, match="device"):
        read_bytes("/dev/zero")


def test_folders_and_missing_files_are_errors_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"directory|Permission"):
        read_bytes(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "none")


def test_a_target_that_cannot_be_written_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "file" / "below.txt", tmp_path / "folder", tmp_path / "a\0b"):
        with pytest.raises(OutputError, match=r"cannot be written: .*--out"):
            write_text(target, "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "x"


def test_a_full_disk_is_an_error_and_other_errors_of_the_block_are_its_own(tmp_path: Path) -> None:
    for number, error in ((errno.ENOSPC, OutputError), (errno.ENOENT, FileNotFoundError)):
        with pytest.raises(error), whole_file(tmp_path / "a.txt"):
            raise OSError(number, os.strerror(number))
    assert list(tmp_path.iterdir()) == []


def test_long_names_are_written(tmp_path: Path) -> None:
    name = "n" * 250 + ".txt"
    write_text(tmp_path / name, "x")
    assert (tmp_path / name).read_text() == "x"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_pipe_is_neither_replaced_nor_added_to(tmp_path: Path, through_a_link: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    target = tmp_path / "link" if through_a_link else pipe
    if through_a_link:
        target.symlink_to(pipe)
    with pytest.raises(OutputError, match="named pipe"):
        write_text(target, "text")
    with pytest.raises(NotRegularFileError):
        append_text(target, "text")
    assert pipe.is_fifo()


def test_text_is_added(tmp_path: Path) -> None:
    append_text(tmp_path / "a.csv", "one\n")
    append_text(tmp_path / "a.csv", "two \udcff\n")
    assert (tmp_path / "a.csv").read_bytes() == b"one\ntwo \\udcff\n"


def test_paths_without_links(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert real_path(tmp_path / "link" / ".." / "b") == real_path(tmp_path) / "b"
    (tmp_path / "circle").symlink_to("circle")
    assert real_path(tmp_path / "circle").name == "circle"
    assert real_path("x" * 5000).name == "x" * 5000
    assert real_path("a\0b").name == "a\0b"


def test_a_name_with_nul_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="no file can have this name"):
        open_regular("a\0b")
    with pytest.raises(OSError, match="no file can have this name"):
        check_regular("a\0b")
