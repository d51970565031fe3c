"""CSV tables: read as spreadsheets write them in any country, written so that formulas stay text.

Read are commas, semicolons and tabs between columns, a first line ``sep=;``, decimal commas (where
columns are not separated by commas), UTF-8, UTF-16 with a byte-order mark, and Windows-1252.

A cell of text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return would be run
as a formula by a spreadsheet (CWE-1236). It is written with an apostrophe before it, which reading
takes away again. Numbers are written as they are.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from metaphase.errors import InputError
from metaphase.textfile import read_text
from metaphase.values import finite

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")
_SEPARATOR = re.compile(r"sep=([,;\t|])\r?\n?", re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
_DECIMAL_COMMA = re.compile(r"[+-]?(\d{1,3}([.\s']\d{3})+|\d*),\d+([eE][+-]?\d+)?")
_GROUPING = re.compile(r"[.\s']")  # of thousands: a point, a space of any width, an apostrophe


class CsvTable:
    """A CSV file: its column names, and its rows with the numbers of their lines."""

    def __init__(self, path: str | Path, error: type[InputError] = InputError) -> None:
        """Read the header. Raises ``error`` for a file that is not text or has no header."""
        self.path, self._error = Path(path), error
        text = read_text(self.path, error, fallback="cp1252")
        self._lines_before = 0
        found = _SEPARATOR.match(text)
        if found:
            text, self._lines_before = text[found.end() :], 1
        self.delimiter = found[1] if found else _delimiter(text)
        self.decimal_comma = self.delimiter != ","
        self._reader = csv.reader(
            # Strict: a quote that is never closed would take in all lines that follow.
            io.StringIO(text, newline=""),
            delimiter=self.delimiter,
            strict=True,
        )
        # Both signs for micro are in use, in the units of columns.
        self.columns: tuple[str, ...] = tuple(
            name.strip().replace("\u03bc", "\u00b5") for name in self._next() or ()
        )

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Yield line number and values of each row that is not empty; once. Raises ``error``.

        Short rows are filled with empty values; a row with more values than columns is an error.
        """
        width = len(self.columns)
        while (values := self._next()) is not None:
            if len(values) != width:
                if not any(values):
                    continue
                if len(values) > width and any(value.strip() for value in values[width:]):
                    raise self._error.of(
                        self.path,
                        f"has {len(values)} values for {width} columns",
                        record=f"line {self.line}",
                        way_out="put text with separators into quotes",
                    )
                values = [*values[:width], *([""] * (width - len(values)))]
            values = [
                unescaped(value) if value[:1] == "'" else value for value in map(str.strip, values)
            ]
            if any(values):
                yield self.line, values

    @property
    def line(self) -> int:
        """The number of the line that was read last."""
        return self._reader.line_num + self._lines_before

    def number(self, text: str) -> str:
        """Return a number with a decimal point, where this table may use decimal commas."""
        if self.decimal_comma and "," in text and _DECIMAL_COMMA.fullmatch(text.strip()):
            return _GROUPING.sub("", text).replace(",", ".")
        return text

    def _next(self) -> list[str] | None:
        try:
            return next(self._reader, None)
        except csv.Error as fault:
            raise self._error.of(
                self.path, f"is not CSV: {fault}", record=f"line {self.line}"
            ) from fault


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV text; None is an empty cell."""
    lines = _Lines()
    writer = csv.writer(lines)
    writer.writerow(columns)
    writer.writerows([escaped(value) for value in row] for row in rows)
    return "".join(lines)


class _Lines(list[str]):
    """Receives rows that end in CR LF and keeps them with LF.

    ``csv`` quotes only those line ends in cells that are also its own, so its own are both.
    """

    def write(self, row: str) -> None:
        """Add a row."""
        self.append(f"{row[:-2]}\n")


def escaped(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula; numbers are left as they are."""
    if value is None:
        return ""
    if isinstance(value, str) and _FORMULA.match(value) and finite(value) is None:
        return f"'{value}"
    return value


def unescaped(text: str) -> str:
    """Return what ``escaped`` was given."""
    return text[1:] if text[:1] == "'" and _ESCAPED.match(text) else text


def _delimiter(text: str) -> str:
    header = _QUOTED.sub("", text.partition("\n")[0])
    return max(",;\t", key=header.count)
