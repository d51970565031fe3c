"""A patch of pixels with the figures in it, and the open slides that patches are read from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import FloatArray, Pixels
from metaphase.boxes import around, as_boxes, as_points
from metaphase.labels.dataset import Case
from metaphase.slides.open import open_case
from metaphase.slides.slide import Slide
from metaphase.training.patches.pixelcache import DecodedSlide, DecodedStore
from metaphase.training.patches.sampling import PatchSpec
from metaphase.training.recipe.anchors import DEFAULT_BOX_UM

OPEN_SLIDES = 16
"""Slides that one worker keeps open."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A patch and its figures, in patch pixels.

    image: uint8 [size, size, 3]; points: float [n, 2]; boxes: float [n, 4]; labels: int [n] (codes
    of ``Label``); ignore: float [m, 4], boxes of figures whose centre lies outside but which reach
    in: no loss is computed there. domain: the code of its domain, -1 where it is composed of
    several or domains are not used.
    """

    image: Pixels
    points: FloatArray
    boxes: FloatArray
    labels: NDArray[np.int64]
    ignore: FloatArray
    spec: PatchSpec
    domain: int = -1


class CaseTargets:
    """The figures of a case as arrays, in full-resolution pixels."""

    def __init__(self, case: Case, mpp: float, box_um: float | None = None) -> None:
        side = (box_um or DEFAULT_BOX_UM) / mpp
        self.mpp = mpp
        self.points = as_points([(f.x_px, f.y_px) for f in case.figures])
        own = [f.box if f.box and not box_um else None for f in case.figures]
        squares = around(self.points, side)
        self.boxes = as_boxes([b or square for b, square in zip(own, squares, strict=True)])
        self.labels = np.array([f.label.code for f in case.figures], dtype=np.int64)

    def inside(
        self, spec: PatchSpec
    ) -> tuple[FloatArray, FloatArray, NDArray[np.int64], FloatArray]:
        """Return points, boxes and labels of figures with their centre in the patch, and the
        boxes of others that reach into it."""
        scale = self.mpp / spec.mpp
        corner = np.array([spec.x_px, spec.y_px])
        points = (self.points - corner) * scale
        boxes = (self.boxes - np.tile(corner, 2)) * scale
        size = spec.patch_px
        within = ((points >= 0) & (points < size)).all(axis=1)
        reach = (boxes[:, :2] < size).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)
        return points[within], boxes[within], self.labels[within], boxes[reach & ~within]


class SlidePool:
    """Open slides, at most ``limit``; the least recently used is closed first.

    Each process opens its own: a pool that is sent to a worker has none open. Decoded images
    (``decode_small``) are shared.
    """

    def __init__(self, cases: Mapping[str, Case], limit: int = OPEN_SLIDES) -> None:
        self._cases = cases
        self._limit = limit
        self._open: OrderedDict[str, Slide] = OrderedDict()
        self._decoded: dict[str, DecodedSlide] = {}
        self._store: DecodedStore | None = None

    @property
    def open_slides(self) -> int:
        """The number of open slides, without decoded ones."""
        return len(self._open)

    def __getitem__(self, case_id: str) -> Slide:
        if case_id in self._decoded:
            return self._decoded[case_id]
        if case_id in self._open:
            self._open.move_to_end(case_id)
        else:
            while len(self._open) >= self._limit:
                self._open.popitem(last=False)[1].close()
            self._open[case_id] = open_case(self._cases[case_id])
        return self._open[case_id]

    def decode_small(self, limit_mb: int) -> None:
        """Decode small images once for all workers, as many as ``limit_mb`` holds."""
        if limit_mb <= 0:
            return
        self._store = self._store or DecodedStore(limit_mb)
        for case_id in self._cases:
            if case_id not in self._decoded and (slide := self._store.decode(self[case_id])):
                self._decoded[case_id] = slide
                self._open.pop(case_id).close()

    def close(self) -> None:
        """Close all; they are opened again when they are needed."""
        while self._open:
            self._open.popitem()[1].close()

    def __getstate__(self) -> dict[str, Any]:
        # The store is not sent: it deletes its files with its process.
        return self.__dict__ | {"_open": OrderedDict(), "_store": None}
