"""Patches of tissue anywhere in some cases, labelled or not: pixels without figures.

For what needs the appearance of a domain only: alignment, self-training, statistics, stain
transfer. Masked places are filled with the patch's mean and returned as ``ignore`` boxes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.boxes import as_boxes, as_points
from metaphase.labels.dataset import Case, Dataset
from metaphase.training.data.masked import Masked
from metaphase.training.patches.patch import Patch, SlidePool
from metaphase.training.patches.sampling import PatchSpec

_TRIES = 8
_GLASS = 225  # grey level above which a pixel of all channels is glass
_LEAST_TISSUE = 0.3
_MARGIN_PX = 4  # JPEG spreads a painted place's colour a little beyond its border


class TissuePlaces:
    """Draws patches of tissue, of every domain equally often.

    ``by`` is the kind of domain. Slides that cannot be opened raise SlideError or UnknownMppError
    in the constructor.
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
        """Draw a patch, of another domain than ``other_than``; None where there is no other.

        Of a few random places the first is taken that holds tissue and nothing masked, else the
        best.
        """
        names = [name for name in self.domains if name != other_than]
        if not names:
            return None
        best: tuple[float, Patch] | None = None
        for _ in range(_TRIES):
            members = self.domains[names[int(rng.integers(len(names)))]]
            patch = self._read(rng, members[int(rng.integers(len(members)))])
            tissue = float((patch.image.min(axis=2) < _GLASS).mean())
            score = min(tissue, _LEAST_TISSUE) - len(patch.ignore)
            if best is None or score > best[0]:
                best = score, patch
            if score >= _LEAST_TISSUE:
                break
        assert best is not None
        return fill_masked(best[1])

    def _read(self, rng: np.random.Generator, case_id: str) -> Patch:
        width, height, slide_mpp = self._sizes[case_id]
        mpp = self.mpp * float(np.exp(rng.uniform(-self.mpp_jitter, self.mpp_jitter)))
        side = self.patch_px * mpp / slide_mpp
        free = np.array([width - side, height - side])
        x, y = np.round(rng.uniform(np.minimum(free, 0), np.maximum(free, 0)))
        spec = PatchSpec(case_id, float(x), float(y), self.patch_px, mpp, "random")
        image = self.slides[case_id].read(spec.x_px, spec.y_px, self.patch_px, self.patch_px, mpp)
        ignore = masked_boxes_in(self.masked.get(case_id), spec, slide_mpp)
        no_figures = as_points([]), as_boxes([]), np.zeros(0, np.int64)
        return Patch(image, *no_figures, ignore, spec)


def domain_of(case: Case, by: str) -> str:
    """Return the name of a case's domain. With ``by = "none"`` there is one domain."""
    return "" if by == "none" else case.domain(by)


def masked_boxes_in(boxes: FloatArray | None, spec: PatchSpec, mpp: float) -> FloatArray:
    """Return the masked boxes [n, 4] that reach into a patch, in its pixels."""
    if boxes is None or not len(boxes):
        return as_boxes([])
    corner = np.tile([spec.x_px, spec.y_px], 2)
    margin = np.array([-_MARGIN_PX, -_MARGIN_PX, _MARGIN_PX, _MARGIN_PX])
    inside = as_boxes((as_boxes(boxes) + margin - corner) * mpp / spec.mpp)
    reach = (inside[:, :2] < spec.patch_px).all(axis=1) & (inside[:, 2:] > 0).all(axis=1)
    return inside[reach]


def fill_masked(patch: Patch) -> Patch:
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
