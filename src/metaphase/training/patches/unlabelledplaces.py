"""Patches anywhere in some cases, whether anybody labelled them or not: pixels without figures.

For what needs only the look of a domain: alignment, self-training, statistics, stain taken from
another. Places that are masked are painted over with the patch's mean and told as ``ignore``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.boxes import as_boxes, as_points
from metaphase.errors import InputError
from metaphase.labels.dataset import Case, Dataset
from metaphase.training.patches.patch import Patch, SlidePool
from metaphase.training.patches.sampling import PatchSpec

Pixels = NDArray[np.uint8]
FloatArray = NDArray[np.float64]
Masked = Mapping[str, FloatArray]
"""Boxes x1, y1, x2, y2 [n, 4] in full-resolution pixels that must not be looked at, by case id."""

_TRIES = 8
_GLASS = 225  # grey level above which a pixel of all channels is glass
_LEAST_TISSUE = 0.3
_NEAR_PX = 4  # JPEG carries a painted place's colour a little beyond its rim


@dataclass(frozen=True, slots=True, eq=False)
class Unlabelled:
    """Cases of which only the pixels are used, with what is masked in them."""

    cases: Dataset
    masked: Masked

    def __len__(self) -> int:
        return len(self.cases)


class Places:
    """Draws patches of tissue, of every domain as often as of another.

    ``by`` is the kind of domain. Slides that cannot be opened raise SlideError or UnknownMppError
    as soon as this is made.
    """

    def __init__(
        self,
        cases: Dataset,
        *,
        by: str,
        patch_px: int,
        mpp: float,
        mpp_jitter: float = 0.0,
        masked: Masked | None = None,
        slides: SlidePool | None = None,
        cache_mb: int = 0,
    ) -> None:
        self.patch_px, self.mpp, self.mpp_jitter = patch_px, mpp, mpp_jitter
        self.masked = dict(masked or {})
        self.slides = slides or SlidePool({case.id: case for case in cases})
        self.domains: dict[str, list[str]] = {}
        self._sizes: dict[str, tuple[int, int, float]] = {}
        for case in cases:
            slide = self.slides[case.id]
            self._sizes[case.id] = slide.width_px, slide.height_px, slide.mpp
            self.domains.setdefault(domain_of(case, by), []).append(case.id)
        if cache_mb:
            self.slides.decode_small(cache_mb)
        self.slides.close()

    def draw(self, rng: np.random.Generator, *, other_than: str | None = None) -> Patch | None:
        """Draw a patch; of another domain than ``other_than``, or None where there is no other.

        Of a few places the first is taken that holds tissue and nothing masked, else the best.
        """
        names = [name for name in self.domains if name != other_than]
        if not names:
            return None
        best: tuple[float, Patch] | None = None
        for _ in range(_TRIES):
            members = self.domains[names[int(rng.integers(len(names)))]]
            patch = self._at(rng, members[int(rng.integers(len(members)))])
            tissue = float((patch.image.min(axis=2) < _GLASS).mean())
            worth = min(tissue, _LEAST_TISSUE) - len(patch.ignore)
            if best is None or worth > best[0]:
                best = worth, patch
            if worth >= _LEAST_TISSUE:
                break
        assert best is not None
        return without_masked(best[1])

    def _at(self, rng: np.random.Generator, case_id: str) -> Patch:
        width, height, own = self._sizes[case_id]
        mpp = self.mpp * float(np.exp(rng.uniform(-self.mpp_jitter, self.mpp_jitter)))
        side = self.patch_px * mpp / own
        room = np.array([width - side, height - side])
        x, y = np.round(rng.uniform(np.minimum(room, 0), np.maximum(room, 0)))
        spec = PatchSpec(case_id, float(x), float(y), self.patch_px, mpp, "random")
        image = self.slides[case_id].read(spec.x_px, spec.y_px, self.patch_px, self.patch_px, mpp)
        ignore = masked_in(self.masked.get(case_id), spec, own)
        nothing = as_points([]), as_boxes([]), np.zeros(0, np.int64)
        return Patch(image, *nothing, ignore, spec)


def domain_of(case: Case, by: str) -> str:
    """Return the name of a case's domain. Cases of unknown domain are told apart by nothing."""
    return "" if by == "none" else case.domain(by)


def masked_in(boxes: FloatArray | None, spec: PatchSpec, mpp: float) -> FloatArray:
    """Return the masked boxes [n, 4] that reach into a patch, in its pixels."""
    if boxes is None or not len(boxes):
        return as_boxes([])
    corner = np.tile([spec.x_px, spec.y_px], 2)
    around = np.array([-_NEAR_PX, -_NEAR_PX, _NEAR_PX, _NEAR_PX])
    inside = as_boxes((as_boxes(boxes) + around - corner) * mpp / spec.mpp)
    reach = (inside[:, :2] < spec.patch_px).all(axis=1) & (inside[:, 2:] > 0).all(axis=1)
    return inside[reach]


def without_masked(patch: Patch) -> Patch:
    """Return a patch with its masked places filled with the mean of the rest."""
    if not len(patch.ignore):
        return patch
    mask = np.zeros(patch.image.shape[:2], bool)
    for x1, y1, x2, y2 in patch.ignore:
        rows = slice(max(int(y1), 0), max(int(np.ceil(y2)), 0))
        mask[rows, max(int(x1), 0) : max(int(np.ceil(x2)), 0)] = True
    image = patch.image.copy()
    image[mask] = 255 if mask.all() else np.round(image[~mask].mean(axis=0)).astype(np.uint8)
    return replace(patch, image=image)


def load_masked(path: str | Path, cases: Dataset) -> dict[str, FloatArray]:
    """Read masked places, ``{"painted": {"IMAGE.jpg": [[x1, y1, x2, y2], ...]}}``, by case id.

    Images are found by name, with or without suffix; images that are not among the cases are
    allowed. Raises InputError for a file of another form.
    """
    path = Path(path)
    try:
        told: Any = json.loads(path.read_text(encoding="utf-8"))["painted"]
        boxes = {str(name): _boxes(value) for name, value in told.items()}
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError.of(
            path,
            "is no list of masked places",
            way_out='{"painted": {"IMAGE.jpg": [[x1, y1, x2, y2], ...]}}',
        ) from error
    found = {}
    for case in cases:
        names = (case.image.name, case.image.stem) if case.image else ()
        name = next((name for name in (*names, case.id) if name in boxes), None)
        if name is not None:
            found[case.id] = boxes[name]
    return found


def _boxes(value: Any) -> FloatArray:
    boxes = np.asarray(value, dtype=np.float64)
    if boxes.size == 0:
        return as_boxes([])
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise ValueError("boxes are x1, y1, x2, y2")
    if (boxes[:, :2] >= boxes[:, 2:]).any():
        raise ValueError("a box's second corner is right of and below its first")
    return as_boxes(boxes)
