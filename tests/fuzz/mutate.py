"""Mutations of inputs: structured for JSON, tables and TOML, bytes for everything else.

Every mutation is a pure function of its random generator, so a seed gives the same inputs again.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

NUMBERS = (
    *("0", "-1", "1", "-0.0", "1e308", "-1e308", "1e999", "NaN", "Infinity", "-Infinity", "1e-320"),
    *("4294967296", "9223372036854775808", "0.1", "1,5", "1.234,5", "0x10", "١٢", "1_000"),
    *("1" * 400, "9" * 5000),
)
TEXTS = (
    *(
        "",
        " ",
        "\t",
        "null",
        "true",
        "\\",
        "/",
        "..",
        "../x",
        "a/b.png",
        "C:\\x\\y.tif",
        "001.tiff",
    ),
    *("=1+1", "-2", "+x", "@x", "'=1", '"', "a,b", "a;b", "line\nend", "é", "e\u0301", "\ufeff"),
    *(
        "001.tiff",
        "mitotic figure",
        "Mitosis?",
        "hard negative",
        "unlabelled",
        "x" * 300,
        "\u202e",
        "[bold]x",
    ),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, 1e308, -1e308, float("nan"), float("inf"), float("-inf")),
    *(10**18, 10**400, -(10**20), [], {}, [[]], [None], {"": None}, [1, 2], [1, 2, 3, 4]),
    *([1e308, 1e308, 1e308, 1e308], [float("nan")] * 4, "\ud800", "\x00", *TEXTS),
)
TOKENS: tuple[bytes, ...] = (
    *(b"\x00", b"\xff", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\x1f\x8b", b"\xed\xa0\x80"),
    *(b"{", b"}", b"[", b"]", b'"', b",", b";", b"\n", b"\r", b"\t", b"sep=;\n", b"\\ud800"),
    *(text.encode() for text in NUMBERS[:12]),
)
_NUMBER = re.compile(rb"-?\d+(\.\d+)?")
_DEEP = 10_000

Mutation = Callable[[random.Random, bytes], bytes]


def mutate(chance: random.Random, data: bytes, suffix: str) -> bytes:
    """Return a changed input: one to four mutations that suit the kind of file."""
    kinds = _MUTATIONS.get(suffix, (change_bytes,))
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4))):
        data = chance.choice(kinds)(chance, data)
    return data


def change_bytes(chance: random.Random, data: bytes) -> bytes:
    """Flip, insert, delete, repeat or overwrite bytes, or put a token in."""
    buffer = bytearray(data)
    at = chance.randrange(len(buffer) + 1)
    end = min(len(buffer), at + chance.choice((1, 1, 2, 4, 8, 64)))
    match chance.randrange(7):
        case 0 if at < len(buffer):
            buffer[at] ^= 1 << chance.randrange(8)
        case 1:
            buffer[at:at] = chance.randbytes(chance.choice((1, 2, 4, 16)))
        case 2:
            del buffer[at:end]
        case 3:
            buffer[at:at] = buffer[at:end] * chance.choice((1, 2, 100))
        case 4:
            buffer[at:end] = chance.randbytes(end - at)
        case 5:
            buffer[at:at] = chance.choice(TOKENS)
        case _:
            buffer = buffer[:at]
    return bytes(buffer)


def change_number(chance: random.Random, data: bytes) -> bytes:
    """Replace one number in a text."""
    places = list(_NUMBER.finditer(data))
    if not places:
        return change_bytes(chance, data)
    place = chance.choice(places)
    return data[: place.start()] + chance.choice(NUMBERS).encode() + data[place.end() :]


def change_json(chance: random.Random, data: bytes) -> bytes:
    """Replace, delete, copy or nest one value of JSON."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return change_bytes(chance, data)
    holders = _holders(content)
    if not holders:
        return change_bytes(chance, data)
    holder, key = chance.choice(holders)
    match chance.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(chance.randrange(len(holder) + 1), holder[key])
        case 1:
            holder[chance.choice(TEXTS)] = holder[key]
        case 2:
            other, place = chance.choice(holders)
            holder[key] = json.loads(json.dumps(other[place]))
        case 3:
            holder[key] = [holder[key]] if chance.random() < 0.5 else {"a": holder[key]}
        case 4:
            holder[key] = str(holder[key])[:200]
        case _:
            holder[key] = chance.choice(VALUES)
    text = json.dumps(content)
    if chance.random() < 0.01:
        text = text.replace("null", "[" * _DEEP + "]" * _DEEP, 1)
    return text.encode("utf-8", "surrogatepass")


def _holders(content: Any) -> list[tuple[Any, Any]]:
    """Return container and key of every value, in order."""
    found: list[tuple[Any, Any]] = []
    waiting = [content]
    while waiting and len(found) < 5000:
        item = waiting.pop()
        if isinstance(item, dict | list):
            keys = list(item) if isinstance(item, dict) else range(len(item))
            found += [(item, key) for key in keys]
            waiting += [item[key] for key in keys]
    return found


def change_cell(chance: random.Random, data: bytes) -> bytes:
    """Replace, delete or repeat a cell or a line of a table, or change its separators."""
    lines = data.split(b"\n")
    row = chance.randrange(len(lines))
    cells = lines[row].split(b",")
    column = chance.randrange(len(cells))
    match chance.randrange(7):
        case 0:
            del cells[column]
        case 1:
            cells.insert(column, cells[column])
        case 2:
            lines.insert(row, lines[row])
        case 3:
            return data.replace(b",", chance.choice((b";", b"\t", b"|", b",,")))
        case 4 if chance.random() < 0.02:
            cells[column] = b"x" * 140_000
        case 5:
            cells[column] = b'"' + chance.choice(TEXTS).encode() + chance.choice((b'"', b""))
        case _:
            cells[column] = chance.choice((*NUMBERS, *TEXTS)).encode()
    lines[row] = b",".join(cells)
    return b"\n".join(lines)


def change_encoding(chance: random.Random, data: bytes) -> bytes:
    """Write a text in another encoding, or compress it."""
    import gzip

    text = data.decode("utf-8", "replace")
    match chance.randrange(4):
        case 0:
            return text.encode("utf-16")
        case 1:
            return text.encode("cp1252", "replace")
        case 2:
            return gzip.compress(data, 1, mtime=0)
        case _:
            return b"\xef\xbb\xbf" + data


_TEXT = (change_bytes, change_number, change_encoding)
_MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    ".json": (change_json,) * 6 + _TEXT,
    ".geojson": (change_json,) * 6 + _TEXT,
    ".csv": (change_cell,) * 5 + _TEXT,
    ".toml": (change_number,) * 3 + (change_bytes, change_bytes, change_encoding),
}
