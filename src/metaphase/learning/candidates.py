"""The candidates of one image: found once, with the windows and features that training needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import ARCHIVE_ERRORS, Float32Array, FloatArray, Pixels
from metaphase.detection.detect import (
    finish_detections,
    hash_image,
    merge_candidates,
    open_checkpoint,
    provenance_of,
)
from metaphase.detection.pipeline import Progress, candidate_classifier, find_candidates
from metaphase.detection.plan import Box, Settings, make_plan
from metaphase.detection.resultfolder import ResultFolder
from metaphase.detection.runtimebase import Runtime
from metaphase.detection.scorenormalisation import cellular_area_mm2, score_logits
from metaphase.detection.secondstage import CandidateClassifier
from metaphase.errors import InputError, ModelFileError
from metaphase.figures import Detections, Label
from metaphase.files import open_regular, whole_file
from metaphase.models.card import SecondStage
from metaphase.models.modelfile import Model
from metaphase.slides.slide import Slide

LEAST_SCORE = 0.02
"""Candidates with a lower score take part only where a slide has fewer than LEAST_CANDIDATES."""
LEAST_CANDIDATES = 50

Features = Callable[[Pixels], Float32Array]
"""Features [n, symmetries, d] of windows [n, side, side, 3]."""


@dataclass(frozen=True, slots=True, eq=False)
class SlideCandidates:
    """Candidates [n] of one image, best first.

    ``first``: scores of the detector. ``score``: final scores by the model that the loop began
    with. ``windows`` [n, side, side, 3]: the input of its second stage. ``features``: [n,
    symmetries, d].

    For the score normalisation: ``shift`` is what it added to the logits of ``score``, ``others``
    [m] are the logits of the image's detections that are no candidates, without that shift, and
    ``area_mm2`` is the area with detections.
    """

    x_px: FloatArray
    y_px: FloatArray
    first: FloatArray
    score: FloatArray
    windows: Pixels
    features: Float32Array
    shift: float = 0.0
    others: FloatArray = field(default_factory=lambda: np.zeros(0))
    area_mm2: float = 0.0

    def __len__(self) -> int:
        return len(self.x_px)

    @property
    def points(self) -> FloatArray:
        """The positions [n, 2]."""
        return np.stack([self.x_px, self.y_px], axis=1)

    @property
    def mean_features(self) -> FloatArray:
        """The features [n, d], averaged over the symmetries, as detection averages the logits."""
        return np.asarray(self.features.mean(axis=1, dtype=np.float64))

    def save(self, path: Path) -> None:
        """Write an NPZ file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part, part.open("wb") as stream:
            np.savez(stream, **{f.name: getattr(self, f.name) for f in fields(self)})

    def check(self) -> None:
        """Raise ValueError unless all columns have a row for each candidate, of finite numbers."""
        columns: list[NDArray[Any]] = [self.x_px, self.y_px, self.first, self.score]
        columns += [self.windows, self.features]
        if [column.ndim for column in columns] != [1, 1, 1, 1, 4, 3]:
            raise ValueError("its columns have not the shapes of candidates")
        if len({len(column) for column in columns}) > 1:
            raise ValueError("its columns have different lengths")
        if self.windows.dtype != np.uint8 or self.windows.shape[3] != 3:
            raise ValueError("its windows are no images")
        numbers = (*columns[:4], columns[5], self.others)
        if any(c.dtype.kind != "f" or not np.isfinite(c).all() for c in numbers):
            raise ValueError("its columns are not of finite numbers")
        if self.others.ndim != 1 or not (0 <= self.area_mm2 < np.inf and abs(self.shift) < np.inf):
            raise ValueError("its values for the score normalisation are not valid")

    @classmethod
    def load(cls, path: Path) -> SlideCandidates:
        """Read what ``save`` wrote. Raises InputError."""
        try:
            with open_regular(path) as stream, np.load(stream, allow_pickle=False) as content:
                values: dict[str, Any] = {
                    f.name: content[f.name] for f in fields(cls) if f.name in content
                }
            for name in {"shift", "area_mm2"} & values.keys():
                values[name] = float(values[name])
            found = cls(**values)
            found.check()
            return found
        except ARCHIVE_ERRORS as error:
            raise InputError.of(
                path, f"cannot be read: {error}", way_out="remove it, and repeat 'learn start'"
            ) from error


def second_stage_of(model: Model) -> tuple[Model, SecondStage]:
    """Return the second stage of a model. Raises ModelFileError where it has none."""
    second, stage = model.second_stage, model.card.second_stage
    if second is None or stage is None:
        raise ModelFileError.of(
            model.folder,
            "has no second stage, which is what a review trains",
            way_out="name a model with one, such as compact",
        )
    return second, stage


def find_slide_candidates(
    slide: Slide,
    model: Model,
    runtime: Runtime,
    folder: ResultFolder,
    features: Features,
    most: int,
    progress: Progress | None = None,
) -> SlideCandidates:
    """Detect in an image, write its result folder, and return its candidates.

    An interrupted call resumes from the finished parts in the folder.
    """
    settings = Settings()
    plan = make_plan(slide, model, settings)
    provenance = provenance_of(slide, model, plan, hash_image(slide), runtime)
    parts = open_checkpoint(folder.checkpoint, plan, provenance, runtime.batch)
    found = find_candidates(slide, model, plan, runtime, checkpoint=parts, progress=progress)
    merged = merge_candidates(found, plan, provenance)
    classifier = candidate_classifier(slide, plan, model, runtime)
    assert classifier is not None
    detections = finish_detections(merged, found, slide, plan, model, runtime)
    candidates = slide_candidates(detections, merged, classifier, features, most, plan.box_px)
    folder.write(slide, plan, detections, settings, None)
    return candidates


def slide_candidates(
    detections: Detections,
    merged: Detections,
    classifier: CandidateClassifier,
    features: Features,
    most: int,
    box_px: Box,
) -> SlideCandidates:
    """Return the best candidates among detections, with their windows and features.

    ``merged`` are the detections before the second stage, with the scores of the detector.
    ``box_px`` is what was analysed: x1, y1, x2, y2.
    """
    mitotic = merged.with_label(Label.MITOTIC)
    place = zip(mitotic.x_px.tolist(), mitotic.y_px.tolist(), strict=True)
    first = dict(zip(place, mitotic.score.tolist(), strict=True))
    kept = detections.with_label(Label.MITOTIC)
    count = int(np.clip((kept.score >= LEAST_SCORE).sum(), min(LEAST_CANDIDATES, most), most))
    points = kept.points[:count]
    spec = classifier.model.card.input
    windows = np.zeros((len(points), spec.tile_px, spec.tile_px, 3), np.uint8)
    for row, point in enumerate(points):
        windows[row] = classifier.window(point)
    shift = detections.provenance.parameters.score_shift or 0.0
    return SlideCandidates(
        points[:, 0],
        points[:, 1],
        np.array([first[x, y] for x, y in points.tolist()]),
        kept.score[:count],
        windows,
        features(windows),
        shift,
        score_logits(kept.score[count:]) - shift,
        cellular_area_mm2(kept.points, box_px, detections.provenance.mpp),
    )
