"""What every reader of detections fills: images with their rows, and all that is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from metaphase.errors import DetectionsError, Problem
from metaphase.figures import Detections, Label
from metaphase.labels.casenames import case_id, case_ids
from metaphase.labels.labelfile import MAX_FIGURE_PX, MAX_FIGURE_UM
from metaphase.provenance import MOST_PX, Parameters, Provenance
from metaphase.values import finite, position, shown

LEAST_MPP, MOST_MPP = 1e-4, 1e4
"""Resolutions in um/px outside of these are errors of units."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the caller knows of the images: um/px and width, height; for all, or by name."""

    mpp: float | Mapping[str, float] | None = None
    image_size: tuple[int, int] | Mapping[str, tuple[int, int]] | None = None

    def mpp_of(self, image: str, in_file: float | None = None) -> tuple[float, str]:
        """Return the file's resolution, else the caller's, and its source.

        Raises DetectionsError where it is unknown.
        """
        if in_file is not None and in_file > 0:
            return _checked_mpp(image, in_file), "file"
        value = self.mpp
        if isinstance(value, Mapping):
            value = value.get(image, value.get(case_id(image)))
        if value is None or not (math.isfinite(value) and value > 0):
            raise DetectionsError.of(
                image, "its resolution (um/px) is unknown", way_out="give it with --mpp"
            )
        return _checked_mpp(image, float(value)), "user"

    def size_of(self, image: str) -> tuple[int, int]:
        """Return width and height, 0 where they are unknown."""
        value = self.image_size
        if isinstance(value, Mapping):
            value = value.get(image, value.get(case_id(image)))
        return (int(value[0]), int(value[1])) if value else (0, 0)


def _checked_mpp(image: str, mpp: float) -> float:
    if not LEAST_MPP <= mpp <= MOST_MPP:
        raise DetectionsError.of(
            image, f"{mpp:g} um/px is no resolution", way_out="give um per px, such as 0.25"
        )
    return mpp


@dataclass
class ImportedImage:
    """The rows of one image while its file is read: x and y (px), score, label, atypical."""

    name: str
    mpp: float | None = None
    size: tuple[int, int] | None = None
    threshold: float = 0.0
    model: str = ""
    rows: list[tuple[float, float, float, Label, float]] = field(default_factory=list)


class ImportedFile:
    """A file of another tool: its images by name, and everything that is wrong with it."""

    def __init__(self, path: Path, kind: str, facts: ImageFacts) -> None:
        self.path, self.kind, self.facts = path, kind, facts
        self.images: dict[str, ImportedImage] = {}
        self.problems: list[Problem] = []

    def image(self, name: str) -> ImportedImage:
        """Return an image by its name, and add it if it is new."""
        return self.images.setdefault(name, ImportedImage(name))

    def problem(self, record: str, message: str, way_out: str = "") -> None:
        """Add something that is wrong."""
        self.problems.append(Problem(str(self.path), record, message, way_out))

    def add(
        self,
        image: ImportedImage,
        record: str,
        x: object,
        y: object,
        score: object,
        label: Label | None,
        atypical: object = None,
    ) -> None:
        """Add a row, or what is wrong with it. A score of None is 1.

        ``atypical`` is the probability that a mitotic figure is atypical, None where it is unknown.
        """
        probability = math.nan if atypical is None else finite(atypical)
        x_px, y_px = position(x), position(y)
        value = 1.0 if score is None else finite(score)
        if x_px is None or y_px is None:
            self.problem(record, f"({shown(x)}, {shown(y)}) is not a position")
        elif value is None or not 0 <= value <= 1:
            self.problem(record, f"score {shown(score)} is not a number from 0 to 1")
        elif label is None:
            self.problem(record, "has no label that metaphase knows", "see docs/exchange.md")
        elif probability is None or probability < 0 or probability > 1:
            self.problem(record, f"atypical {shown(atypical)} is not a number from 0 to 1")
        else:
            if label != Label.MITOTIC:
                probability = math.nan
            image.rows.append((x_px, y_px, value, label, probability))

    def is_region(
        self, image: ImportedImage, record: str, width_px: float, height_px: float
    ) -> bool:
        """Return whether a shape is far larger than any cell, which is a problem."""
        try:
            mpp, _ = self.facts.mpp_of(image.name, image.mpp)
        except DetectionsError:  # reported when all rows are read
            mpp = MAX_FIGURE_UM / MAX_FIGURE_PX
        if max(width_px, height_px) * mpp <= MAX_FIGURE_UM:
            return False
        size = f"{width_px:g} x {height_px:g} px"
        self.problem(record, f"is {size}, which is no single cell", "leave regions out")
        return True

    def detections(self) -> dict[str, Detections]:
        """Return the detections by case id of their image. Raises DetectionsError."""
        found: dict[str, Detections] = {}
        ids = case_ids(self.images)
        for image in self.images.values():
            if ids[image.name] in found:
                self.problem(image.name, "is a second image of this name", "rename one")
                continue
            try:
                found[ids[image.name]] = self._detections_of(image)
            except DetectionsError as error:
                for problem in error.problems:
                    self.problem(image.name, problem.message, problem.way_out)
        if self.problems:
            raise DetectionsError(self.problems)
        return found

    def _detections_of(self, image: ImportedImage) -> Detections:
        mpp, source = self.facts.mpp_of(image.name, image.mpp)
        width, height = image.size or self.facts.size_of(image.name)
        if not 0 <= min(width, height) <= max(width, height) <= MOST_PX:
            raise DetectionsError.of(
                self.path, f"{shown(width)} x {shown(height)} px is no size", record=image.name
            )
        self._check_places(image, width, height, MAX_FIGURE_UM / mpp)
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
        columns = zip(*image.rows, strict=True) if image.rows else ((), (), (), (), ())
        x, y, score, label, atypical = columns
        codes = [word.code for word in label]
        return Detections(x, y, score, codes, provenance=provenance, atypical=atypical)

    def _check_places(
        self, image: ImportedImage, width: int, height: int, margin_px: float
    ) -> None:
        """Raise DetectionsError for positions outside of an image whose size is known.

        A figure at the border may have its centre outside, but not by more than its size.
        """
        if not (width and height):
            return
        right, below = width + margin_px, height + margin_px
        outside = [
            row[:2]
            for row in image.rows
            if not (-margin_px <= row[0] <= right and -margin_px <= row[1] <= below)
        ]
        if outside:
            x, y = outside[0]
            raise DetectionsError.of(
                self.path,
                f"{len(outside)} of {len(image.rows)} detections lie outside of the image of "
                f"{width} x {height} px, such as {x:g}, {y:g}",
                record=image.name,
                way_out="check that positions are pixels at full resolution",
            )
