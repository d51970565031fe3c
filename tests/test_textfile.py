from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import DetectionsError, InputError
from metaphase.files import write_json
from metaphase.textfile import read_bytes, read_head, read_json, read_text


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_of_the_usual_encodings(tmp_path: Path, encoding: str) -> None:
    assert read_text(write(tmp_path, "µm\n".encode(encoding))) == "µm\n"


def test_the_fallback_is_for_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = write(tmp_path, "Größe µm".encode("cp1252"))
    assert read_text(path, fallback="cp1252") == "Größe µm"
    with pytest.raises(InputError, match="not UTF-8"):
        read_text(path)


def test_compressed_files_are_decompressed(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b'{"a": 1}', mtime=0) + gzip.compress(b" "))
    assert read_json(path) == {"a": 1}
    assert read_head(path, size=4) == b'{"a"'


def test_a_compressed_file_that_grows_without_end_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(bytes(10_000_000), mtime=0))
    with pytest.raises(InputError, match="larger than 1 MiB"):
        read_bytes(path, most=1 << 20)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(b"text", mtime=0)[:-10], "ends too early"),
        (b"\x1f\x8b" + bytes(20), "damaged"),
        (b"a\0b", "NUL"),
        (b"\xff\xfea", "not UTF-16"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_what_is_no_text(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(DetectionsError, match=said):
        read_text(write(tmp_path, data), DetectionsError)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,\n}', "line 2: is not JSON"),
        ("9" * 5000, "thousands of digits"),
        ("[" * 10_000 + "]" * 10_000, "nested too deeply"),
        ("", "is not JSON"),
    ],
)
def test_what_is_no_json(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_json(write(tmp_path, text.encode()))


def test_half_of_a_surrogate_pair_is_replaced(tmp_path: Path) -> None:
    text = r'{"\ud800": "a\udfff", "good": "\ud83d\ude00 \\ud800"}'
    content = read_json(write(tmp_path, text.encode()))
    assert content == {"?": "a?", "good": "\U0001f600 \\ud800"}
    json.dumps(content, ensure_ascii=False).encode()


def test_names_of_files_that_are_not_utf8_are_kept(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"file_name": "a\udcff.png"})
    assert read_json(tmp_path / "a.json") == {"file_name": "a\udcff.png"}


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path("a\0b")):
        with pytest.raises(InputError):
            read_bytes(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="named pipe"):
        read_head(tmp_path / "pipe")


KEYS = st.sampled_from(["features", "type", "a", "\u00b5"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(value=VALUES, indent=st.none() | st.integers(0, 2))
def test_elements_are_converted_while_they_are_parsed(value, indent, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=False), "utf-8")
    expected = value
    if isinstance(value, dict) and isinstance(value.get("features"), list):
        expected = value | {"features": [("converted", item) for item in value["features"]]}
    assert read_json(path, convert={"features": lambda item: ("converted", item)}) == expected


@given(text=st.text(alphabet='{}[]",:0\\ \n') | st.from_regex(r'\{ ?"features" ?: ?\[[\]},: 0"]*'))
def test_what_is_no_json_has_the_same_error_with_converted_elements(text, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_text(text, encoding="utf-8")
    said = []
    for convert in (None, {"features": lambda item: item}):
        try:
            said.append(read_json(path, convert=convert))
        except InputError as error:
            said.append(str(error))
    assert said[0] == said[1]


def test_a_file_with_half_a_surrogate_pair_is_not_converted(tmp_path: Path) -> None:
    path = write(tmp_path, b'{"features": ["\\ud800"]}')
    assert read_json(path, convert={"features": lambda item: 1 / 0}) == {"features": ["?"]}
