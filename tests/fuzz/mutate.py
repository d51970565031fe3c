"""Mutations of inputs: structured for JSON, tables, TOML, NumPy and SQLite, bytes for the rest.

Every mutation is a pure function of its random generator, so a seed gives the same inputs again.
"""

from __future__ import annotations

import json
import random
import re
import warnings
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
    *([1e308, 1e308, 1e308, 1e308], [float("nan")] * 4, "\ud800", "a\udcff.png", "\x00", *TEXTS),
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


def change_arrays(chance: random.Random, data: bytes) -> bytes:
    """Change the values, the shape or the type of an array in a NumPy archive, or leave it out."""
    import io

    import numpy as np

    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception:  # damaged by an earlier mutation
        return change_bytes(chance, data)
    if not arrays:
        return change_bytes(chance, data)
    name = chance.choice(sorted(arrays))
    array = arrays[name]
    match chance.randrange(7):
        case 0:
            del arrays[name]
        case 1:
            arrays[name] = array[: chance.randrange(len(array) + 1)] if array.ndim else array[None]
        case 2:
            arrays[name] = array.reshape(-1)
        case 3:
            arrays[name] = array[None]
        case 4:
            kind = chance.choice(("f2", "f8", "i1", "u8", "U5", "?", "c8", "M8[s]"))
            try:
                with warnings.catch_warnings(action="ignore"):  # of values that do not fit
                    arrays[name] = array.astype(kind)
            except (TypeError, ValueError, RuntimeError):
                arrays[name] = np.array(["x"])
        case 5 if array.size and array.dtype.kind == "f":
            arrays[name] = array.copy()
            values = (np.nan, np.inf, -1.0, 6e4, 0.0)
            place, value = chance.randrange(array.size), array.dtype.type(chance.choice(values))
            arrays[name].flat[place] = value
        case _:
            arrays[name] = chance.choice(list(arrays.values()))
    stream = io.BytesIO()
    chance.choice((np.savez, np.savez_compressed))(stream, **arrays)
    return stream.getvalue()


def change_database(chance: random.Random, data: bytes) -> bytes:
    """Change a cell of an SQLite database, or remove a row, a column or a table."""
    import sqlite3
    from contextlib import closing

    try:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
            database.deserialize(data)
            database.execute("PRAGMA writable_schema=ON")
            database.execute("DELETE FROM sqlite_master WHERE type = 'trigger'")
            tables = [row[0] for row in database.execute(_TABLES)]
            table = chance.choice(tables)
            columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
            _change_table(chance, database, table, chance.choice(columns))
            return bytes(database.serialize())
    except (sqlite3.Error, IndexError, UnicodeError, OverflowError, ValueError, MemoryError):
        return change_bytes(chance, data)


_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"


def _change_table(chance: random.Random, database: Any, table: str, column: str) -> None:
    rows = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
    one = (
        f'rowid = (SELECT rowid FROM "{table}" ORDER BY rowid '
        f"LIMIT 1 OFFSET {chance.randrange(max(1, rows))})"
    )
    match chance.randrange(8):
        case 0:
            database.execute(f'DELETE FROM "{table}" WHERE {one}')
        case 1:
            database.execute(f'ALTER TABLE "{table}" DROP COLUMN "{column}"')
        case 2:
            database.execute(f'DROP TABLE "{table}"')
        case 3:
            database.execute(f'INSERT INTO "{table}" DEFAULT VALUES')
        case _:
            value = chance.choice((*_CELLS, *TEXTS))
            database.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE {one}', (value,))


_CELLS = (
    *(
        None,
        0,
        -1,
        1,
        0.5,
        1e308,
        float("inf"),
        2**62,
        -(2**63),
        b"",
        b"\xff\x00",
        "1,5",
        "9" * 400,
    ),
)


def change_line(chance: random.Random, data: bytes) -> bytes:
    """Change one line of a file of JSON lines, as JSON."""
    lines = data.split(b"\n")
    row = chance.randrange(len(lines))
    lines[row] = change_json(chance, lines[row])
    return b"\n".join(lines)


_TEXT = (change_bytes, change_number, change_encoding)
_MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    ".json": (change_json,) * 6 + _TEXT,
    ".geojson": (change_json,) * 6 + _TEXT,
    ".csv": (change_cell,) * 5 + _TEXT,
    ".toml": (change_number,) * 3 + (change_bytes, change_bytes, change_encoding),
    ".txt": (change_bytes, change_cell, change_encoding),
    ".jsonl": (change_line,) * 4 + _TEXT,
    ".npz": (change_arrays,) * 4 + (change_bytes,),
    ".sqlite": (change_database,) * 4 + (change_bytes,),
}
