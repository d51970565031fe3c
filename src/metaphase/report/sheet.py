"""Contact sheets of all false positives and false negatives, and of some true positives.

Pages are PNG files of small pictures with captions; ``sheet.csv`` lists their contents. The
pictures are ``CROP_PX`` px wide at 0.25 um/px, enlarged twice; ticks at the edges point at the
position.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metaphase.arrays import Pixels
from metaphase.csvfile import csv_text
from metaphase.detection.overlay import FALSE, FOUND, MISSED
from metaphase.evaluation.casescore import MISTAKES, CaseOutcome, Mistake
from metaphase.evaluation.scores import Scores
from metaphase.files import whole_file, write_text
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.report.galleries import Pictures, Place
from metaphase.units import px_to_um

if TYPE_CHECKING:
    from PIL.Image import Image

CROP_PX = 64
SHOWN_PX = 128
COLUMNS, ROWS = 8, 6
CSV_NAME = "sheet.csv"

_CELL = (SHOWN_PX + 20, SHOWN_PX + 72)
_TITLE_PX, _TEXT_PX, _FRAME_PX, _TICK_PX, _GAP_PX = 34, 11, 2, 7, 6
_COLOURS = {"tp": FOUND, "fp": FALSE, "fn": MISSED}


@dataclass(frozen=True, slots=True)
class Item:
    """One picture.

    ``score`` is that of the detection; for a missed figure the highest one within the matching
    radius. ``nearest_um`` is the distance of a detection to the nearest figure, or of a missed
    figure to the nearest detection of any score; None if there is none.
    """

    place: Place
    score: float | None
    nearest_um: float | None

    @property
    def case(self) -> str:
        """The case's id."""
        return self.place.outcome.case.id


@dataclass(frozen=True, slots=True)
class Sheet:
    """Pictures of one kind, in order."""

    name: str
    title: str
    items: tuple[Item, ...]


def sheets(scores: Scores, most_true: int = COLUMNS * ROWS) -> list[Sheet]:
    """Return the sheets of an evaluation: all false positives and negatives, some true positives.

    They are ordered by falling score, except the borderline ones, which begin at the threshold.
    """
    true = sorted(_detected(scores, right=True), key=lambda item: -(item.score or 0))
    false = sorted(_detected(scores, right=False), key=lambda item: -(item.score or 0))
    missed = sorted(_missed(scores), key=lambda item: -(item.score or 0))
    border = true[::-1][:most_true]
    return [
        Sheet("false-positives", "False positives, highest scores first", tuple(false)),
        Sheet("false-negatives", "False negatives, highest scores first", tuple(missed)),
        Sheet("borderline", "True positives, lowest scores first", tuple(border)),
        Sheet("confident", "True positives, highest scores first", tuple(true[:most_true])),
    ]


def write_sheets(
    scores: Scores,
    folder: str | Path,
    *,
    images: Path | None = None,
    most_true: int = COLUMNS * ROWS,
) -> tuple[list[Path], list[str]]:
    """Write the pages and the list; return the files, and sentences about unreadable images.

    ``images`` is a folder that is searched for images that are no longer at their old path. Pages
    of an earlier call are removed.
    """
    folder = Path(folder)
    all_sheets = sheets(scores, most_true)
    for sheet in all_sheets:
        for old in folder.glob(f"{sheet.name}-[0-9]*.png"):
            old.unlink()
    pictures = Pictures(images)
    crops = pictures.pixels({item.place for sheet in all_sheets for item in sheet.items}, CROP_PX)
    files, listed = [], []
    for sheet in all_sheets:
        for number, page in enumerate(_pages(sheet.items), start=1):
            path = folder / f"{sheet.name}-{number}.png"
            first = 1 + (number - 1) * COLUMNS * ROWS
            title = f"{sheet.title}: {first} to {first + len(page) - 1} of {len(sheet.items)}"
            _save(_drawn(title, page, crops), path)
            files.append(path)
            listed += [_row(path.name, i, item) for i, item in enumerate(page)]
    write_text(folder / CSV_NAME, _csv(listed))
    return [*files, folder / CSV_NAME], pictures.problems


def _detected(scores: Scores, *, right: bool) -> Iterator[Item]:
    for outcome in scores.outcomes:
        for i in np.flatnonzero(outcome.above_threshold & (outcome.true_positive == right)):
            x, y = outcome.points[i]
            wrong = "" if right else MISTAKES[outcome.mistake[i]]
            caption = "" if wrong == Mistake.OTHER else str(wrong)
            kind = "tp" if right else "fp"
            place = Place(outcome, float(x), float(y), kind, caption)
            yield Item(place, float(outcome.score[i]), _nearest(outcome, outcome.truth, x, y))


def _missed(scores: Scores) -> Iterator[Item]:
    for outcome in scores.outcomes:
        for x, y in outcome.truth[~outcome.detected]:
            place = Place(outcome, float(x), float(y), "fn", "")
            away = px_to_um(1, outcome.case.mpp) * np.hypot(*(outcome.points - [x, y]).T)
            near = outcome.score[away <= MATCH_RADIUS_UM]
            best = float(near.max()) if len(near) else None
            yield Item(place, best, _nearest(outcome, outcome.points, x, y))


def _nearest(outcome: CaseOutcome, places: Any, x: float, y: float) -> float | None:
    if not len(places):
        return None
    return px_to_um(float(np.hypot(*(places - [x, y]).T).min()), outcome.case.mpp)


def _pages(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    size = COLUMNS * ROWS
    return (items[start : start + size] for start in range(0, len(items), size))


def caption(item: Item) -> tuple[str, ...]:
    """Return the lines under a picture: case, place and score, distance, kind of mistake."""
    where = f"{item.place.x_px:.0f}, {item.place.y_px:.0f}"
    away = "none" if item.nearest_um is None else f"{item.nearest_um:.1f} um"
    if item.place.kind == "fn":
        score = "no score near it" if item.score is None else f"best score {item.score:.2f}"
        return item.case, f"{where}  {score}", f"nearest detection {away}"
    lines = (item.case, f"{where}  score {item.score:.2f}", f"nearest figure {away}")
    return (*lines, item.place.caption) if item.place.caption else lines


def fitted(text: str, font: Any, most_px: float = _CELL[0] - _GAP_PX) -> str:
    """Return a line that is at most so wide, without its beginning where it is too long."""
    while font.getlength(text) > most_px:
        text = f"...{text.removeprefix('...')[1:]}"
    return text


def _drawn(title: str, items: Sequence[Item], crops: Mapping[Place, Pixels]) -> Image:
    from PIL import Image, ImageDraw, ImageFont

    rows = -(-len(items) // COLUMNS)
    width, height = _CELL[0] * min(COLUMNS, len(items)), _CELL[1] * rows + _TITLE_PX
    page = Image.new("RGB", (max(width, 4 * _CELL[0]), height), "white")
    draw = ImageDraw.Draw(page)
    draw.text((10, 8), title, fill="black", font=ImageFont.load_default(16))
    font = ImageFont.load_default(_TEXT_PX)
    for number, item in enumerate(items):
        row, column = divmod(number, COLUMNS)
        x, y = column * _CELL[0] + 10, row * _CELL[1] + _TITLE_PX
        _picture(page, draw, (x, y), crops.get(item.place), _COLOURS[item.place.kind])
        text = "\n".join(fitted(line, font) for line in caption(item))
        draw.multiline_text((x - 6, y + SHOWN_PX + 5), text, fill="black", font=font, spacing=3)
    return page


def _picture(
    page: Image, draw: Any, corner: tuple[int, int], crop: Pixels | None, hue: Any
) -> None:
    from PIL import Image

    x, y = corner
    far_x, far_y, rim = x + SHOWN_PX, y + SHOWN_PX, _FRAME_PX
    if crop is None:
        draw.text((x + 30, y + 58), "no image", fill="gray")
    else:
        size = (SHOWN_PX, SHOWN_PX)
        page.paste(Image.fromarray(crop).resize(size, Image.Resampling.LANCZOS), corner)
    draw.rectangle((x - rim, y - rim, far_x + rim - 1, far_y + rim - 1), outline=hue, width=rim)
    middle = SHOWN_PX // 2
    for start, end in (
        ((x, y + middle), (x + _TICK_PX, y + middle)),
        ((far_x - _TICK_PX, y + middle), (far_x, y + middle)),
        ((x + middle, y), (x + middle, y + _TICK_PX)),
        ((x + middle, far_y - _TICK_PX), (x + middle, far_y)),
    ):
        draw.line((start, end), fill=hue, width=2)


def _save(page: Image, path: Path) -> None:
    with whole_file(path) as temporary:
        page.save(temporary, "PNG")


def _row(page: str, number: int, item: Item) -> list[Any]:
    row, column = divmod(number, COLUMNS)
    place = item.place
    score = "" if item.score is None else f"{item.score:.6f}"
    nearest = "" if item.nearest_um is None else f"{item.nearest_um:.2f}"
    at = [f"{place.x_px:.2f}", f"{place.y_px:.2f}"]
    return [page, row + 1, column + 1, place.kind, item.case, *at, score, nearest, place.caption]


def _csv(rows: Iterable[list[Any]]) -> str:
    head = ("page", "row", "column", "kind", "case", "x_px", "y_px", "score", "nearest_um", "on")
    return csv_text(head, rows)
