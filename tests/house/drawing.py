"""A picture of the rooms: what each is for, and which others it imports from."""

from __future__ import annotations

import ast
from html import escape

from tests.house.imports import GROUND_ROOMS, PACKAGE, ROOMS, modules, parsed, rooms_used

_ROW, _TOP, _LEFT = 34, 104, 24
_NAME, _CELL = 128, 30
_TEXT = 440
_STYLE = (
    "text{font-family:system-ui,'Segoe UI',Helvetica,Arial,sans-serif;font-size:14px;fill:#1f2430}"
    ".name{font-weight:600}.small{font-size:12px;fill:#5a6270}"
    ".room{fill:#eef2f8;stroke:#b9c4d6}.ground{fill:#f6f0e4;stroke:#d5c6a4}"
    ".allowed{fill:#f4f5f7}.used{fill:#3d6fb4}.self{fill:#c8d3e3}"
)


def draw() -> str:
    """Return the picture as SVG. Rows and columns are rooms; a filled cell is an import."""
    used = rooms_used()
    grounds = [room for room in GROUND_ROOMS if room in used]
    rooms = [*grounds, *(room for room in ROOMS if room in used)]
    width = _LEFT + _NAME + _TEXT + (len(rooms) + 1) * _CELL + 24
    height = _TOP + (len(rooms) + 1) * _ROW + 44
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        "<title>The rooms of metaphase and the imports between them</title>",
        f'<style>{_STYLE}</style><rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(_LEFT, 32, "Rooms of metaphase, in the order of the data", "name"),
        _text(_LEFT, 54, "Each imports the ground floor and the rooms above it.", "small"),
        *(_column(number, room) for number, room in enumerate(["ground floor", *rooms])),
        *_ground_row(),
    ]
    for number, room in enumerate(rooms):
        parts += _row(number + 1, room, rooms, used[room], ground=room in grounds)
    parts.append(_legend(height - 16))
    return "\n".join([*parts, "</svg>\n"])


def _ground_row() -> list[str]:
    names = [path.stem for path in modules() if path.parent == PACKAGE and path.stem[0] != "_"]
    return [*_box(0, "ground floor", ", ".join(names), "ground"), _cell(0, 0, "self")]


def _row(number: int, room: str, rooms: list[str], used: set[str], *, ground: bool) -> list[str]:
    reach = 0 if ground else number - 1
    cells = [_cell(number, 0, "used")]
    cells += [
        _cell(number, column + 1, "used" if other in used else "allowed")
        for column, other in enumerate(rooms)
        if column < reach or other in used
    ]
    style = "ground" if ground else "room"
    return [*_box(number, f"{room}/", _purpose(room), style), *cells, _cell(number, number, "self")]


def _box(number: int, name: str, purpose: str, style: str) -> list[str]:
    y = _TOP + number * _ROW
    width = _NAME + _TEXT - 12
    lines = _wrapped(purpose)
    first = y + (19 if len(lines) == 1 else 13)
    return [
        f'<rect class="{style}" x="{_LEFT}" y="{y}" width="{width}" height="{_ROW - 5}" rx="5"/>',
        _text(_LEFT + 10, y + 19, name, "name"),
        *(_text(_LEFT + _NAME, first + 13 * n, line, "small") for n, line in enumerate(lines)),
    ]


def _wrapped(text: str, most: int = 68) -> list[str]:
    if len(text) <= most:
        return [text]
    cut = text.rfind(" ", 0, most)
    rest = text[cut + 1 :]
    return [text[:cut], rest if len(rest) <= most else rest[: most - 1] + "…"]


def _purpose(room: str) -> str:
    """Return the first sentence of a room's docstring, without the full stop."""
    text = ast.get_docstring(parsed(PACKAGE / room / "__init__.py")) or ""
    sentence = " ".join(text.split("\n\n")[0].split())
    return sentence.split(". ")[0].rstrip(".").replace("``", "")


def _cell(row: int, column: int, style: str) -> str:
    x = _LEFT + _NAME + _TEXT + column * _CELL
    y = _TOP + row * _ROW + 1
    return f'<rect class="{style}" x="{x}" y="{y}" width="{_CELL - 4}" height="{_ROW - 8}" rx="3"/>'


def _column(number: int, name: str) -> str:
    x = _LEFT + _NAME + _TEXT + number * _CELL + 17
    return (
        f'<text class="small" transform="translate({x},{_TOP - 8}) rotate(-60)">'
        f"{escape(name)}</text>"
    )


def _legend(y: int) -> str:
    x = _LEFT + _NAME + _TEXT
    return (
        f'<rect class="used" x="{_LEFT}" y="{y - 11}" width="13" height="13" rx="3"/>'
        + _text(_LEFT + 20, y, "the room in this row imports from the room in this column", "small")
        + f'<rect class="allowed" x="{x}" y="{y - 11}" width="13" height="13" rx="3"/>'
        + _text(x + 20, y, "allowed, not used", "small")
    )


def _text(x: int, y: int, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x}" y="{y}">{escape(text)}</text>'
