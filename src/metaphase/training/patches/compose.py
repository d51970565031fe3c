"""Training patches composed of crops: pieces of images pasted onto a background without figures.

A pasted figure is cut from a crop. A pasted negative is a piece without a mitotic figure, of a
labelled region or of a mosaic (an image joined of figure-free strips of crops). The background is a
region or a mosaic; the colours are those of the background or of the crops' slide.

All pastes are made in the same way: a window of random size around a place that lies anywhere in
it, a blob of random shape and softness, anywhere in the patch, with a part of the patch's colours.
So neither a seam, a place, a colour nor a scanner's grain is a sign of a mitotic figure.

All of it is a pure function of (seed, epoch, index), in the stream ``CROPS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import FloatArray, Pixels, Rng
from metaphase.boxes import as_boxes, as_points, distances
from metaphase.figures import Label
from metaphase.stain.colourstatistics import (
    ColourStatistics,
    colour_statistics,
    transfer_colours,
)
from metaphase.training.patches.crops import CORE_UM, RIM_UM, Crops
from metaphase.training.patches.patch import Patch
from metaphase.training.patches.picture import Picture, darkest
from metaphase.training.patches.sampling import CROPS, PatchSpec, Sampler, rng_for
from metaphase.training.recipe.sections import Sampling

Read = Callable[[PatchSpec], Patch]

WINDOW_UM = (16.0, 27.5)
"""Sides of what is pasted: 64 to 110 px at 0.25 um/px."""
FEATHER_UM = (1.0, 4.0)
_LEAST_FEATHER_PX = 3.0  # narrower is an edge, whatever the resolution
REGION_NEGATIVES = 0.65
"""Part of the negatives that come from regions; the others from mosaics of crops."""
PASTES = (1, 4)
"""Pastes on a region, fewest and most; on a mosaic there are twice as many."""
CROP_UM = 32.0
_TRIES = 12
_HIDDEN, _WHOLE = 0.05, 0.98


@dataclass(frozen=True, slots=True, eq=False)
class Paste:
    """A window of a picture with its place: ``alpha`` [h, w] at ``x, y`` (whole px) of the patch.

    ``negative``: no mitotic figure is in it.
    """

    picture: Picture
    x: int
    y: int
    alpha: NDArray[np.float32]
    feather_px: float
    negative: bool

    @property
    def centre(self) -> FloatArray:
        """The place [2] in the patch, in its pixels, that the window was cut around."""
        return np.asarray(self.picture.centre + np.array([self.x, self.y]))

    @property
    def box(self) -> FloatArray:
        """The window [4] in patch pixels."""
        h, w = self.alpha.shape
        return np.array([self.x, self.y, self.x + w, self.y + h], dtype=np.float64)


class Composer:
    """Composes the patches that ``sampling.crops_share`` gives to crops."""

    def __init__(self, crops: Crops, sampling: Sampling) -> None:
        self.crops = crops
        self.sampling = sampling

    def patch(self, sampler: Sampler, epoch: int, index: int, read: Read) -> Patch | None:
        """Return the patch if it is one of those that are composed, else None.

        ``read`` reads patches of regions. Figures that are cut off or partly covered are in
        ``ignore``.
        """
        rng = rng_for(sampler.seed, epoch, index, CROPS)
        if rng.random() >= self.sampling.crops_share:
            return None
        return self.compose(rng, sampler, epoch, index, read)[0]

    def compose(
        self, rng: Rng, sampler: Sampler, epoch: int, index: int, read: Read
    ) -> tuple[Patch, list[Paste]]:
        """Return a patch and its pastes, the lowest first."""
        background = read(sampler.background(rng, epoch, index))
        mpp = background.spec.mpp
        group = self.crops.group(rng)
        is_mosaic = rng.random() < self.sampling.crops_mosaics
        if is_mosaic:
            mosaic = self.crops.mosaic(rng, group, mpp, background.spec.patch_px)
            background = _bare(background, mosaic.image)
        source = self.crops.colours(group) if is_mosaic else colour_statistics(background.image)
        colours = source
        if not is_mosaic and rng.random() < 0.5:  # the whole patch gets the crops' colours
            colours = self.crops.colours(group)
            image = transfer_colours(background.image, source, colours, rng.uniform(0.6, 1))
            background = replace(background, image=image)
        pastes: list[Paste] = []
        low, high = PASTES
        for _ in range(int(rng.integers(low, high, endpoint=True)) * (2 if is_mosaic else 1)):
            paste = self._paste(rng, sampler, read, background, group, colours, pastes)
            if paste is not None:
                pastes.append(paste)
        return _blended(background, pastes), pastes

    def _paste(
        self,
        rng: Rng,
        sampler: Sampler,
        read: Read,
        background: Patch,
        group: int,
        colours: ColourStatistics,
        pastes: list[Paste],
    ) -> Paste | None:
        """Draw a paste that covers no figure and no other paste's core; None where none fits."""
        mpp, size = background.spec.mpp, background.spec.patch_px
        negatives = self.sampling.crops_negatives
        negative = rng.random() < negatives / (1 + negatives)
        if not negative:
            picture = self.crops.figure(rng, group, mpp)
        elif rng.random() < REGION_NEGATIVES:
            picture = self._of_region(rng, sampler, read, mpp)
        else:
            picture = self.crops.mosaic(rng, group, mpp)
        window, alpha, feather = cut(rng, picture, mpp)
        amount = rng.uniform(0.65, 1)
        window = replace(
            window, image=transfer_colours(window.image, window.colours, colours, amount)
        )
        rim = min(self.sampling.rim_px, size / 2 - 1)
        kept = np.concatenate(
            [background.boxes, background.ignore, *(_core(p, mpp) for p in pastes)]
        )
        for _ in range(_TRIES):
            corner = np.round(rng.uniform(rim, size - rim, 2) - window.centre)
            paste = Paste(window, int(corner[0]), int(corner[1]), alpha, feather, negative)
            if not _overlap(paste.box, kept).any():
                return paste
        return None

    def _of_region(self, rng: Rng, sampler: Sampler, read: Read, mpp: float) -> Picture:
        """Return a piece of a region as large as a crop, without mitotic figures.

        Its centre is a hard negative, labelled or mined, or the darkest of a few places: pasted
        negatives should be easily mistaken for figures. If no piece is found it is a mosaic.
        """
        for _ in range(_TRIES):
            spec = replace(sampler.background(rng), mpp=mpp)
            region = read(spec)
            case = next(case for case in sampler.cases if case.id == spec.case_id)
            places = np.concatenate([case.hard_negative, case.mined]) - [spec.x_px, spec.y_px]
            centres = _inside(places * case.mpp / mpp, spec.patch_px, RIM_UM / mpp)
            centre = (
                centres[rng.integers(len(centres))]
                if len(centres)
                else _dark(rng, region.image, mpp)
            )
            half = CROP_UM / mpp / 2
            last = max(spec.patch_px - 2 * half, 0)
            x, y = np.clip(np.round(centre - half), 0, np.floor(last)).astype(int)
            side = round(2 * half)
            box = np.array([x, y, x + side, y + side], dtype=np.float64)
            mitotic = region.boxes[region.labels == Label.MITOTIC.code]
            if _overlap(box, np.concatenate([mitotic, region.ignore])).any():
                continue
            picture = Picture(
                region.image[y : y + side, x : x + side],
                colour_statistics(region.image),
                region.points - [x, y],
                region.boxes - [x, y, x, y],
                region.labels,
                centre - [x, y],
            )
            return picture.symmetric(int(rng.integers(8)))
        return self.crops.mosaic(rng, self.crops.group(rng), mpp)


def cut(rng: Rng, picture: Picture, mpp: float) -> tuple[Picture, NDArray[np.float32], float]:
    """Return a random window of a picture around its centre, its alpha [h, w] and feather (px).

    Alpha is 0 at the window's border and 1 within CORE_UM of the centre.
    """
    height, width = picture.image.shape[:2]
    feather = max(_LEAST_FEATHER_PX, rng.uniform(*FEATHER_UM) / mpp)
    low, high = np.array(WINDOW_UM) / mpp
    rim = CORE_UM / mpp + feather
    corner, sides = [], []
    for extent, at in zip((width, height), picture.centre, strict=True):
        side = int(min(rng.uniform(low, high), extent))
        # As far from the centre as the feather needs, where the picture reaches so far.
        first, last = max(0.0, at + rim - side), min(extent - side, at - rim)
        start = (
            rng.uniform(first, last) if last > first else np.clip(at - side / 2, 0, extent - side)
        )
        corner.append(int(np.clip(round(float(start)), 0, extent - side)))
        sides.append(side)
    (x, y), (w, h) = corner, sides
    boxes = picture.boxes - [x, y, x, y]
    reach = _overlap(np.array([0.0, 0.0, w, h]), boxes)
    window = Picture(
        picture.image[y : y + h, x : x + w],
        picture.colours,
        (picture.points - [x, y])[reach],
        boxes[reach],
        picture.labels[reach],
        picture.centre - [x, y],
    )
    return window, blob(rng, w, h, window.centre, feather, CORE_UM / mpp), feather


def blob(
    rng: Rng, width: int, height: int, centre: FloatArray, feather: float, core: float
) -> NDArray[np.float32]:
    """Return alpha [height, width] of a shape between an ellipse and a rectangle with an irregular
    outline: soft over ``feather`` px, 1 within ``core`` px of the centre as far as the border
    allows."""
    x, y = np.arange(width) + 0.5, (np.arange(height) + 0.5)[:, None]
    u, v = 2 * x / width - 1, 2 * y / height - 1
    power = rng.uniform(1.8, 3.2)
    rho = (np.abs(u) ** power + np.abs(v) ** power) ** (1 / power)
    angle = np.arctan2(v, u)
    for k in (2, 3, 4, 5):
        rho = rho * (1 + rng.uniform(0, 0.16) / np.sqrt(k) * np.cos(k * angle + rng.uniform(0, 7)))
    inside = (1 - rho) * min(width, height) / 2
    away = np.hypot(x - centre[0], y - centre[1])
    rim = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y))
    alpha = np.maximum(_soft(inside / feather), _soft((core + feather - away) / feather))
    return np.asarray(alpha * _soft((rim - 0.5) / max(feather - 1, 1)), dtype=np.float32)


def _soft(t: FloatArray) -> FloatArray:
    t = np.clip(t, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _dark(rng: Rng, image: Pixels, mpp: float) -> FloatArray:
    """Return the darkest of four random places, each the mean over some 3 um."""
    rim, r = RIM_UM / mpp, max(1, round(1.5 / mpp))
    places = rng.uniform(rim, max(len(image) - rim, rim + 1), (4, 2))
    return darkest(image, places, r)


def _inside(points: FloatArray, size: float, rim: float) -> FloatArray:
    return points[((points >= rim) & (points < size - rim)).all(axis=1)]


def _core(paste: Paste, mpp: float) -> FloatArray:
    """Return the boxes that later pastes must not cover: the centre's and the figures'."""
    half = RIM_UM / mpp
    around = np.concatenate([paste.centre - half, paste.centre + half])[None]
    return np.concatenate([around, paste.picture.boxes + np.tile([paste.x, paste.y], 2)])


def _overlap(box: FloatArray, boxes: FloatArray) -> NDArray[np.bool_]:
    return np.asarray((boxes[:, :2] < box[2:]).all(axis=1) & (boxes[:, 2:] > box[:2]).all(axis=1))


def _bare(background: Patch, image: Pixels) -> Patch:
    """Return a background with other pixels and without figures."""
    size = background.spec.patch_px
    image = np.ascontiguousarray(image[:size, :size])
    return Patch(
        image, as_points([]), as_boxes([]), np.zeros(0, np.int64), as_boxes([]), background.spec
    )


def _blended(background: Patch, pastes: list[Paste]) -> Patch:
    size = background.spec.patch_px
    core_px = CORE_UM / background.spec.mpp
    image = np.array(background.image)
    points, boxes = [background.points], [background.boxes]
    labels, ignore = [background.labels], [background.ignore]
    for paste in pastes:
        x1, y1 = max(paste.x, 0), max(paste.y, 0)
        x2, y2 = np.minimum(paste.box[2:], size).astype(int)
        there = np.s_[y1 - paste.y : y2 - paste.y, x1 - paste.x : x2 - paste.x]
        alpha = paste.alpha[there][..., None]
        under = image[y1:y2, x1:x2]
        image[y1:y2, x1:x2] = (
            under * (1 - alpha) + paste.picture.image[there] * alpha + 0.5
        ).astype(np.uint8)
        whole, cut_off = _seen(paste, core_px)
        shift = np.array([paste.x, paste.y], dtype=np.float64)
        at, frames = paste.picture.points + shift, paste.picture.boxes + np.tile(shift, 2)
        in_patch = ((at >= 0) & (at < size)).all(axis=1)
        reach = _overlap(np.array([0.0, 0.0, size, size]), frames)
        points.append(at[whole & in_patch])
        boxes.append(frames[whole & in_patch])
        labels.append(paste.picture.labels[whole & in_patch])
        ignore.append(frames[reach & (cut_off | (whole & ~in_patch))])
    return Patch(
        image,
        np.concatenate(points),
        np.concatenate(boxes),
        np.concatenate(labels),
        np.concatenate(ignore),
        background.spec,
    )


def _seen(paste: Paste, core_px: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which figures [n] of a window are wholly visible in the blend, and which partly."""
    points, boxes = paste.picture.points, paste.picture.boxes
    h, w = paste.alpha.shape
    y, x = np.mgrid[:h, :w] + 0.5
    pixels = np.stack([x.ravel(), y.ravel()], axis=1)
    flat = paste.alpha.ravel()
    whole, partly = np.zeros(len(points), bool), np.zeros(len(points), bool)
    for n, (point, box) in enumerate(zip(points, boxes, strict=True)):
        near = flat[distances(point[None], pixels)[0] < core_px]
        fits = (point >= core_px).all() and (point <= np.array([w, h]) - core_px).all()
        whole[n] = fits and near.size > 0 and near.min() >= _WHOLE
        x1, y1 = np.maximum(np.floor(box[:2]), 0).astype(int)
        x2, y2 = np.maximum(np.ceil(box[2:]), 0).astype(int)
        part = paste.alpha[y1:y2, x1:x2]
        partly[n] = not whole[n] and part.size > 0 and part.max() > _HIDDEN
    return whole, partly
