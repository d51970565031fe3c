"""What reading other people's files needs: known facts, gathered problems, names."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metaphase.errors import DetectionsError, Problem
from metaphase.figures import Detections, Label
from metaphase.files import read_text
from metaphase.labels.reading import case_id
from metaphase.labels.reading import image_name as image_name
from metaphase.labels.values import finite as finite
from metaphase.provenance import Parameters, Provenance


def load_json(path: Path) -> Any:
    """Read a JSON file. Raises DetectionsError."""
    try:
        return json.loads(read_text(path, "utf-8-sig"))
    except OSError as error:
        raise DetectionsError.of(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DetectionsError.of(path, f"is not JSON: {error}") from error


@dataclass(frozen=True, slots=True)
class Known:
    """What the caller knows of the images: um/px and width, height; for all, or by name."""

    mpp: float | Mapping[str, float] | None = None
    image_size: tuple[int, int] | Mapping[str, tuple[int, int]] | None = None

    def mpp_of(self, image: str, told: float | None = None) -> tuple[float, str]:
        """Return the resolution that the file told, else the caller's. Raises DetectionsError."""
        if told is not None and told > 0:
            return told, "file"
        value = self.mpp
        if isinstance(value, Mapping):
            value = value.get(image, value.get(case_id(image)))
        if value is None or not (math.isfinite(value) and value > 0):
            raise DetectionsError.of(
                image, "its resolution (um/px) is unknown", way_out="give it with --mpp"
            )
        return float(value), "user"

    def size_of(self, image: str) -> tuple[int, int]:
        """Return width and height, 0 where nobody knows them."""
        value = self.image_size
        if isinstance(value, Mapping):
            value = value.get(image, value.get(case_id(image)))
        return (int(value[0]), int(value[1])) if value else (0, 0)


@dataclass
class Image:
    """The rows of one image while its file is read."""

    name: str
    mpp: float | None = None
    size: tuple[int, int] | None = None
    threshold: float = 0.0
    model: str = ""
    rows: list[tuple[float, float, float, Label]] = field(default_factory=list)


class Reading:
    """A file being read: its images by name, and everything that is wrong with it."""

    def __init__(self, path: Path, kind: str, known: Known) -> None:
        self.path, self.kind, self.known = path, kind, known
        self.images: dict[str, Image] = {}
        self.problems: list[Problem] = []

    def image(self, name: str) -> Image:
        """Return an image, new or known."""
        return self.images.setdefault(name, Image(name))

    def problem(self, record: str, message: str, way_out: str = "") -> None:
        """Note that something is wrong."""
        self.problems.append(Problem(str(self.path), record, message, way_out))

    def add(
        self, image: Image, record: str, x: object, y: object, score: object, label: Label | None
    ) -> None:
        """Note a row, or what is wrong with it. A score of None is 1."""
        x_px, y_px = finite(x), finite(y)
        value = 1.0 if score is None else finite(score)
        if x_px is None or y_px is None:
            self.problem(record, f"({x!r}, {y!r}) is not a position")
        elif value is None or not 0 <= value <= 1:
            self.problem(record, f"score {score!r} is not a number from 0 to 1")
        elif label is None:
            self.problem(record, "has no label that metaphase knows", "see docs/exchange.md")
        else:
            image.rows.append((x_px, y_px, value, label))

    def detections(self) -> dict[str, Detections]:
        """Return the detections by image name without ending. Raises DetectionsError."""
        found: dict[str, Detections] = {}
        for image in self.images.values():
            key = case_id(image.name)
            if key in found:
                self.problem(image.name, "is a second image of this name", "rename one")
                continue
            try:
                found[key] = self._one(image)
            except DetectionsError as error:
                self.problems += error.problems
        if self.problems:
            raise DetectionsError(self.problems)
        return found

    def _one(self, image: Image) -> Detections:
        mpp, source = self.known.mpp_of(image.name, image.mpp)
        width, height = image.size or self.known.size_of(image.name)
        provenance = Provenance(
            image=image.name,
            width_px=width,
            height_px=height,
            mpp=mpp,
            mpp_source=source,
            model=image.model,
            threshold=image.threshold,
            parameters=Parameters(read_from=self.path.name, format=self.kind),
        )
        x, y, score, label = zip(*image.rows, strict=True) if image.rows else ((), (), (), ())
        return Detections(x, y, score, [word.code for word in label], provenance=provenance)
