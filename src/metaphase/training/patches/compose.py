"""Training patches composed of crops: figures and decoys pasted onto figure-free ground.

Every paste is made the same way, whatever it holds: a window of random size around an aim that lies
anywhere in it, a blob of random shape and softness, an aim anywhere in the patch, a share of the
patch's look. It holds either a figure of a crop, or a decoy: a piece of a labelled field without
a mitotic figure, or of a quilt of crops. The ground is a field, or a quilt of crops; the look is
that of the ground, or of the crops' slide. So neither a seam, a place, a colour nor a scanner's
grain tells what is a mitotic figure.

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
from metaphase.stain.colourstatistics import ColourStatistics, colour_statistics, transfer_colours
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
FIELD_DECOYS = 0.65
"""Part of the decoys that come from fields; the others from quilts of crops."""
PASTES = (1, 4)
"""Pastes on a field, fewest and most; on a quilt there are twice as many."""
CROP_UM = 32.0
_TRIES = 12
_HIDDEN, _WHOLE = 0.05, 0.98


@dataclass(frozen=True, slots=True, eq=False)
class Paste:
    """A window of a picture with its place: ``alpha`` [h, w] at ``x, y`` (whole px) of the patch.

    ``aim`` [2] is in patch pixels; ``decoy`` tells that no mitotic figure is in it.
    """

    picture: Picture
    x: int
    y: int
    alpha: NDArray[np.float32]
    feather_px: float
    decoy: bool

    @property
    def aim(self) -> FloatArray:
        """The place in the patch that the window was laid around."""
        return np.asarray(self.picture.aim + np.array([self.x, self.y]))

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
        """Return the patch where it is one of crops, else None. ``read`` gives patches of fields.

        Nothing lies outside of it; what is cut or half covered is in ``ignore``.
        """
        rng = rng_for(sampler.seed, epoch, index, CROPS)
        if rng.random() >= self.sampling.crops_share:
            return None
        return self.compose(rng, sampler, epoch, index, read)[0]

    def compose(
        self, rng: Rng, sampler: Sampler, epoch: int, index: int, read: Read
    ) -> tuple[Patch, list[Paste]]:
        """Return a patch and what was pasted into it, the lowest first."""
        ground = read(sampler.background(rng, epoch, index))
        mpp = ground.spec.mpp
        group = self.crops.group(rng)
        quilted = rng.random() < self.sampling.crops_mosaics
        if quilted:
            quilt = self.crops.quilt(rng, group, mpp, ground.spec.patch_px)
            ground = _bare(ground, quilt.image)
        here = self.crops.look(group) if quilted else colour_statistics(ground.image)
        look = here
        if not quilted and rng.random() < 0.5:  # the whole patch is made to look like the crops
            look = self.crops.look(group)
            image = transfer_colours(ground.image, here, look, rng.uniform(0.6, 1))
            ground = replace(ground, image=image)
        pastes: list[Paste] = []
        low, high = PASTES
        for _ in range(int(rng.integers(low, high, endpoint=True)) * (2 if quilted else 1)):
            paste = self._paste(rng, sampler, read, ground, group, look, pastes)
            if paste is not None:
                pastes.append(paste)
        return _blended(ground, pastes), pastes

    def _paste(
        self,
        rng: Rng,
        sampler: Sampler,
        read: Read,
        ground: Patch,
        group: int,
        look: ColourStatistics,
        pastes: list[Paste],
    ) -> Paste | None:
        """Draw a paste and a place that covers no figure and no other paste's core; or None."""
        mpp, size = ground.spec.mpp, ground.spec.patch_px
        decoys = self.sampling.crops_negatives
        decoy = rng.random() < decoys / (1 + decoys)
        if not decoy:
            picture = self.crops.figure(rng, group, mpp)
        elif rng.random() < FIELD_DECOYS:
            picture = self._of_field(rng, sampler, read, mpp)
        else:
            picture = self.crops.quilt(rng, group, mpp)
        window, alpha, feather = cut(rng, picture, mpp)
        amount = rng.uniform(0.65, 1)
        window = replace(window, image=transfer_colours(window.image, window.look, look, amount))
        rim = min(self.sampling.rim_px, size / 2 - 1)
        kept = np.concatenate([ground.boxes, ground.ignore, *(_core(p, mpp) for p in pastes)])
        for _ in range(_TRIES):
            corner = np.round(rng.uniform(rim, size - rim, 2) - window.aim)
            paste = Paste(window, int(corner[0]), int(corner[1]), alpha, feather, decoy)
            if not _overlap(paste.box, kept).any():
                return paste
        return None

    def _of_field(self, rng: Rng, sampler: Sampler, read: Read, mpp: float) -> Picture:
        """Return a piece of a field as large as a crop, without mitotic figures where there is one.

        Aimed at a hard negative, labelled or mined, or at the darkest of a few places: what is
        pasted besides figures should be what may be mistaken for one.
        """
        for _ in range(_TRIES):
            spec = replace(sampler.background(rng), mpp=mpp)
            field = read(spec)
            case = next(case for case in sampler.cases if case.id == spec.case_id)
            places = np.concatenate([case.hard_negative, case.mined]) - [spec.x_px, spec.y_px]
            aims = _inside(places * case.mpp / mpp, spec.patch_px, RIM_UM / mpp)
            aim = aims[rng.integers(len(aims))] if len(aims) else _dark(rng, field.image, mpp)
            half = CROP_UM / mpp / 2
            last = max(spec.patch_px - 2 * half, 0)
            x, y = np.clip(np.round(aim - half), 0, np.floor(last)).astype(int)
            side = round(2 * half)
            box = np.array([x, y, x + side, y + side], dtype=np.float64)
            mitotic = field.boxes[field.labels == Label.MITOTIC.code]
            if _overlap(box, np.concatenate([mitotic, field.ignore])).any():
                continue
            picture = Picture(
                field.image[y : y + side, x : x + side],
                colour_statistics(field.image),
                field.points - [x, y],
                field.boxes - [x, y, x, y],
                field.labels,
                aim - [x, y],
            )
            return picture.turned(int(rng.integers(8)))
        return self.crops.quilt(rng, self.crops.group(rng), mpp)


def cut(rng: Rng, picture: Picture, mpp: float) -> tuple[Picture, NDArray[np.float32], float]:
    """Return a random window of a picture around its aim, its alpha [h, w] and its feather (px).

    Alpha is 0 at the window's rim and 1 within CORE_UM of the aim.
    """
    height, width = picture.image.shape[:2]
    feather = max(_LEAST_FEATHER_PX, rng.uniform(*FEATHER_UM) / mpp)
    low, high = np.array(WINDOW_UM) / mpp
    rim = CORE_UM / mpp + feather
    corner, sides = [], []
    for extent, at in zip((width, height), picture.aim, strict=True):
        side = int(min(rng.uniform(low, high), extent))
        # As far from the aim as the feather needs, where the picture reaches so far.
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
        picture.look,
        (picture.points - [x, y])[reach],
        boxes[reach],
        picture.labels[reach],
        picture.aim - [x, y],
    )
    return window, blob(rng, w, h, window.aim, feather, CORE_UM / mpp), feather


def blob(
    rng: Rng, width: int, height: int, aim: FloatArray, feather: float, core: float
) -> NDArray[np.float32]:
    """Return alpha [height, width]: between an ellipse and a rectangle, wobbling, soft by
    ``feather`` px, whole within ``core`` px of the aim as far as the rim allows."""
    x, y = np.arange(width) + 0.5, (np.arange(height) + 0.5)[:, None]
    u, v = 2 * x / width - 1, 2 * y / height - 1
    power = rng.uniform(1.8, 3.2)
    rho = (np.abs(u) ** power + np.abs(v) ** power) ** (1 / power)
    angle = np.arctan2(v, u)
    for k in (2, 3, 4, 5):
        rho = rho * (1 + rng.uniform(0, 0.16) / np.sqrt(k) * np.cos(k * angle + rng.uniform(0, 7)))
    inside = (1 - rho) * min(width, height) / 2
    away = np.hypot(x - aim[0], y - aim[1])
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
    """Return what later pastes must leave alone: the box around the aim, and the figures' boxes."""
    half = RIM_UM / mpp
    around = np.concatenate([paste.aim - half, paste.aim + half])[None]
    return np.concatenate([around, paste.picture.boxes + np.tile([paste.x, paste.y], 2)])


def _overlap(box: FloatArray, boxes: FloatArray) -> NDArray[np.bool_]:
    return np.asarray((boxes[:, :2] < box[2:]).all(axis=1) & (boxes[:, 2:] > box[:2]).all(axis=1))


def _bare(ground: Patch, image: Pixels) -> Patch:
    """Return a ground without figures, of other pixels."""
    size = ground.spec.patch_px
    image = np.ascontiguousarray(image[:size, :size])
    return Patch(
        image, as_points([]), as_boxes([]), np.zeros(0, np.int64), as_boxes([]), ground.spec
    )


def _blended(ground: Patch, pastes: list[Paste]) -> Patch:
    size = ground.spec.patch_px
    core_px = CORE_UM / ground.spec.mpp
    image = np.array(ground.image)
    points, boxes = [ground.points], [ground.boxes]
    labels, ignore = [ground.labels], [ground.ignore]
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
        ground.spec,
    )


def _seen(paste: Paste, core_px: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which figures [n] of a window are whole in the blend, and which only partly there."""
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
