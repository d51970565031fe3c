"""Text and JSON files that people or other programs wrote: read with one error for every fault.

Files may be gzip-compressed (QuPath writes ``.geojson.gz``), in UTF-8 with or without a byte-order
mark, or in UTF-16 with one. Anything else is an error that names the file and the way out.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from metaphase.errors import InputError
from metaphase.files import open_regular
from metaphase.garbage import paused_collection

Convert = Callable[[Any], Any]

MAX_BYTES = 1 << 31
"""The largest file that is read, also after decompression (2 GiB)."""

FILE_NAMES = "names of files"
"""A fallback for lists of files: bytes that are not UTF-8 are kept, as in the names of files."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates but those that stand for a byte in names of files that are not UTF-8."""
_SPACE = re.compile(r"[ \t\n\r]*")
_HEAD = 4096
_GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_bytes(
    path: str | Path, error: type[InputError] = InputError, *, most: int = MAX_BYTES
) -> bytes:
    """Return a regular file's bytes, decompressed if they are gzip. Raises ``error``.

    Pipes and devices are refused, because reading them could wait for ever.
    """
    path = Path(path)
    data = _raw(path, error, most + 1)
    if data.startswith(_GZIP):
        data = _decompressed(path, data, error, most)
    if len(data) > most:
        raise error.of(path, f"is larger than {most >> 20:,} MiB", way_out="split it into parts")
    return data


def read_head(path: str | Path, error: type[InputError] = InputError, *, size: int = 4096) -> bytes:
    """Return the first bytes of a regular file, decompressed if it is gzip. Raises ``error``."""
    data = _raw(Path(path), error, max(size, _HEAD))
    if data.startswith(_GZIP):
        try:
            return zlib.decompressobj(wbits=31).decompress(data, size)
        except zlib.error:
            pass  # reading all of it reports the damage
    return data[:size]


def _raw(path: Path, error: type[InputError], size: int) -> bytes:
    try:
        with open_regular(path) as stream:
            return stream.read(size)
    except OSError as fault:
        raise error.of(
            path, f"cannot be read: {fault.strerror or fault}", way_out="check the path"
        ) from fault
    except ValueError as fault:  # a NUL in the name
        raise error.of(repr(str(path)), f"cannot be a file's name: {fault}") from fault


def read_text(
    path: str | Path, error: type[InputError] = InputError, *, fallback: str | None = None
) -> str:
    """Return a file's text without a byte-order mark. Raises ``error``.

    ``fallback`` is the encoding to try where the bytes are not UTF-8, such as ``cp1252`` for tables
    that a spreadsheet saved, or ``FILE_NAMES``.
    """
    path = Path(path)
    text = _decoded(path, read_bytes(path, error), error, fallback)
    if "\0" in text:
        raise error.of(path, "holds NUL characters, so it is not text", way_out="name another file")
    return text


@paused_collection()
def read_json(
    path: str | Path,
    error: type[InputError] = InputError,
    *,
    convert: Mapping[str, Convert] | None = None,
) -> Any:
    """Return parsed JSON. Raises ``error``, naming the line of a syntax error.

    ``convert`` has functions for lists of the outermost object, by key: each element becomes what
    the function returns as soon as it is parsed, so that a million records are never in memory as
    JSON. In unusual files, such as those that are no object, elements stay as they are.
    """
    path = Path(path)
    text = read_text(path, error)
    try:
        if not _SURROGATE.search(text):
            return _parsed(text, convert or {})
        # Half of a surrogate pair is no character: it could be neither printed nor written.
        data = json.loads(text)
        return json.loads(_NO_BYTE.sub("?", json.dumps(data, ensure_ascii=False)))
    except json.JSONDecodeError as fault:
        raise error.of(
            path,
            f"is not JSON: {fault.msg}",
            record=f"line {fault.lineno}",
            way_out="was it copied or downloaded completely?",
        ) from fault
    except ValueError as fault:  # an integer with more digits than Python converts
        raise error.of(path, "holds a number with thousands of digits") from fault
    except RecursionError as fault:
        raise error.of(path, "is nested too deeply to be read") from fault


def _parsed(text: str, convert: Mapping[str, Convert]) -> Any:
    if convert:
        try:
            return _parsed_in_parts(text, convert)
        except (StopIteration, IndexError):
            pass  # no object, or not JSON: the usual parser says what is wrong
    return json.loads(text)


def _parsed_in_parts(text: str, convert: Mapping[str, Convert]) -> dict[str, Any]:
    """Parse an object; raises IndexError or StopIteration for what it does not expect."""
    parser: Any = json.decoder  # what the standard library's own decoder uses
    scan = parser.JSONDecoder().scan_once
    at = _expected(text, _after_space(text, 0), "{")
    result: dict[str, Any] = {}
    while True:
        key, at = parser.scanstring(text, _expected(text, at, '"'), True)
        at = _expected(text, _after_space(text, at), ":")
        if key in convert and text[at] == "[":
            result[key], at = _parsed_list(text, at, scan, convert[key])
        else:
            result[key], at = scan(text, at)
        at = _after_space(text, at)
        if text[at] == "}":
            break
        at = _expected(text, at, ",")
    if _after_space(text, at + 1) != len(text):
        raise IndexError
    return result


def _parsed_list(text: str, at: int, scan: Any, convert: Convert) -> tuple[list[Any], int]:
    """Return the converted elements of the list that begins at a place, and the place after it."""
    result: list[Any] = []
    at = _expected(text, at, "[")
    if text[at] == "]":
        return result, at + 1
    while True:
        value, at = scan(text, at)
        result.append(convert(value))
        at = _after_space(text, at)
        if text[at] == "]":
            return result, at + 1
        at = _expected(text, at, ",")


def _expected(text: str, at: int, character: str) -> int:
    """Return the place after a character and the space that follows it."""
    if text[at] != character:
        raise IndexError
    return _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    return at if text[at : at + 1] > " " else _SPACE.match(text, at).end()  # type: ignore[union-attr]


def _decompressed(path: Path, data: bytes, error: type[InputError], most: int) -> bytes:
    parts, size = [], 0
    try:
        while data:
            member = zlib.decompressobj(wbits=31)
            part = member.decompress(data, most + 1 - size)
            parts.append(part)
            size += len(part)
            if size > most:
                break
            if not member.eof:
                raise error.of(
                    path, "is gzip-compressed and ends too early", way_out="copy it again"
                )
            data = member.unused_data
    except zlib.error as fault:
        raise error.of(
            path, f"is gzip-compressed and damaged: {fault}", way_out="copy it again"
        ) from fault
    return b"".join(parts)


def _decoded(path: Path, data: bytes, error: type[InputError], fallback: str | None) -> str:
    encoding = "utf-16" if data.startswith(_UTF16) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as fault:
        if fallback and encoding != "utf-16":
            if fallback == FILE_NAMES:
                return data.decode("utf-8", "surrogateescape")
            try:
                return data.decode(fallback)
            except UnicodeDecodeError:
                pass
        raise error.of(
            path,
            f"is not {'UTF-16' if encoding == 'utf-16' else 'UTF-8'} text",
            way_out="save it as UTF-8, or name another file",
        ) from fault
