"""Crops around figures, decoded once and shared by all workers, from which patches are composed.

A crop is a small image of a figure and its surroundings, often of a scanner without labelled
regions. ``Crops`` keeps all of them in one array on disk that every process maps into memory, and
draws ``Picture``s:

- ``figure``: the valid part of a crop (without black padding) around one of its figures. Strips
  along its sides without a figure are replaced, half of the time, by such strips of other crops.
- ``mosaic``: an image of the same size joined of such strips only: the same scanner, no figure.

Both have seams of the same kind, so that neither a seam nor a scanner is a sign of a figure.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from metaphase.arrays import FloatArray, Pixels, Rng
from metaphase.boxes import as_boxes, as_points
from metaphase.errors import Problem, RecipeError
from metaphase.figures import Label
from metaphase.files import open_regular
from metaphase.labels.dataset import Case, Dataset
from metaphase.stain.colourstatistics import ColourStatistics, colour_statistics
from metaphase.training.patches.patch import CaseTargets
from metaphase.training.patches.picture import Picture, valid_part
from metaphase.training.patches.strips import SEAM_PX, joined, mismatch, ramp, side_strip
from metaphase.units import scanner_mpp

CORE_UM = 4.5
"""A pasted figure is not blended within this distance of its centre."""
RIM_UM = 6.5
"""Pictures are not centred at figures nearer than this to the border of their crop."""
CLEAR_UM = 6.0
"""Least distance of a strip from every figure's centre: half of MIDOG's box."""
STRIP_UM = 8.5
_CANDIDATES = 4
HARD_NEGATIVE_SHARE = 0.1
"""Part of the drawn figures that are labelled hard negatives, where there are any."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Crops of one slide: (crop, figure) by label, and (crop, side) of the strips."""

    domain: str
    mpp: float
    colours: ColourStatistics
    mitotic: tuple[tuple[int, int], ...]
    hard_negative: tuple[tuple[int, int], ...]
    strips: tuple[tuple[int, int], ...]


class Crops:
    """The crops of a data set. Cases need pixels and a resolution, their own or the scanner's.

    Scanners are drawn equally often; within a scanner, with ``balance_cases`` 0 every figure is
    equally likely, with 1 every slide. Raises RecipeError with every crop that cannot be used.
    """

    def __init__(
        self, dataset: Dataset, *, box_um: float | None = None, balance_cases: float = 0.5
    ) -> None:
        self._cases, self._mpp = _usable(dataset)
        self._path, self._size = self._decode()
        self._open()
        self._targets = [
            CaseTargets(case, mpp, box_um) for case, mpp in zip(self._cases, self._mpp, strict=True)
        ]
        self._valid = [valid_part(self._pixels[i, :h, :w]) for i, (w, h) in enumerate(self._size)]
        self._groups = self._grouped()
        self._edges = np.cumsum(_weights(self._groups, balance_cases))

    def __len__(self) -> int:
        return len(self._cases)

    @property
    def folder(self) -> Path:
        """The temporary folder of the decoded crops."""
        return self._path.parent

    def close(self) -> None:
        """Delete the decoded crops."""
        self._delete()

    # --- drawing

    def group(self, rng: Rng) -> int:
        """Draw a slide; its number is the ``group`` of other methods."""
        at = np.searchsorted(self._edges, rng.random() * self._edges[-1], side="right")
        return int(min(at, len(self._edges) - 1))

    def colours(self, group: int) -> ColourStatistics:
        """Return the colour statistics of all crops of a slide."""
        return self._groups[group].colours

    def figure(self, rng: Rng, group: int, mpp: float) -> Picture:
        """Draw a crop of a slide at a resolution (um/px), centred at one of its figures."""
        members = self._groups[group]
        hard = members.hard_negative and rng.random() < HARD_NEGATIVE_SHARE
        choice = members.hard_negative if hard else members.mitotic
        crop, centred = choice[rng.integers(len(choice))]
        image = self._mixed(rng, members, crop)
        targets = self._targets[crop]
        return self._picture(
            rng, members, image, mpp, targets.points, targets.boxes, targets.labels, crop, centred
        )

    def mosaic(self, rng: Rng, group: int, mpp: float, side_px: int | None = None) -> Picture:
        """Draw a picture without figures, joined of strips of a slide's crops; centred anywhere.

        Its size is that of a crop, or at least ``side_px`` by ``side_px``, at ``mpp``.
        """
        members = self._groups[group]
        widest = max(self._size[crop][0] for crop, _ in members.strips)
        side = widest if side_px is None else int(np.ceil(side_px * mpp / members.mpp)) + 2
        image = self._strip(rng, members, side)
        while len(image) < side:
            # Of a few strips the one that continues the picture best, for the faintest seam.
            strips = [self._strip(rng, members, side) for _ in range(_CANDIDATES)]
            image = joined(image, min(strips, key=partial(mismatch, image)))
        image = image[:side]
        size = np.array([image.shape[1], image.shape[0]], dtype=np.float64)
        rim = np.minimum(RIM_UM / members.mpp, size / 2 - 1)
        picture = self._scaled(image, members, mpp)
        centre = rng.uniform(rim, size - rim) * members.mpp / mpp
        own = colour_statistics(picture.image)
        mean, std = (own.mean + members.colours.mean) / 2, (own.std + members.colours.std) / 2
        picture = replace(picture, colours=ColourStatistics(mean, std), centre=centre)
        return picture.symmetric(int(rng.integers(8)))

    def _picture(
        self,
        rng: Rng,
        members: _Group,
        image: Pixels,
        mpp: float,
        points: FloatArray,
        boxes: FloatArray,
        labels: NDArray[np.int64],
        crop: int,
        centred: int,
    ) -> Picture:
        x1, y1, x2, y2 = self._valid[crop]
        picture = self._scaled(image[y1:y2, x1:x2], members, mpp)
        scale = members.mpp / mpp
        points = (points - [x1, y1]) * scale
        boxes = (boxes - [x1, y1, x1, y1]) * scale
        # Between slide and crop: one crop is a small sample, and a slide is uneven.
        own = colour_statistics(picture.image)
        mean, std = (own.mean + members.colours.mean) / 2, (own.std + members.colours.std) / 2
        picture = replace(
            picture,
            colours=ColourStatistics(mean, std),
            points=points,
            boxes=boxes,
            labels=labels,
            centre=points[centred],
        )
        return picture.symmetric(int(rng.integers(8)))

    def _scaled(self, image: Pixels, members: _Group, mpp: float) -> Picture:
        height, width = image.shape[:2]
        # The same scale along both axes: the rest that fills no whole pixel is cut off.
        w, h = (int(n * members.mpp / mpp) for n in (width, height))
        box = (0.0, 0.0, w * mpp / members.mpp, h * mpp / members.mpp)
        if (w, h) != (width, height) or box[2:] != (width, height):
            picture = Image.fromarray(np.ascontiguousarray(image))
            image = np.asarray(picture.resize((w, h), Image.Resampling.BICUBIC, box=box))
        nothing = as_points([])
        return Picture(
            image, members.colours, nothing, as_boxes([]), np.zeros(0, np.int64), np.zeros(2)
        )

    # --- strips

    def _strip(self, rng: Rng, members: _Group, length: int | None = None) -> Pixels:
        """Return a strip [STRIP_UM, length, 3] without a figure, mirrored at random."""
        crop, side = members.strips[rng.integers(len(members.strips))]
        image = self._on_side(crop, side)
        image = image[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
        while length is not None and image.shape[1] < length:
            more = self._on_side(*members.strips[rng.integers(len(members.strips))])
            more = more[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
            image = joined(image.swapaxes(0, 1), more.swapaxes(0, 1)).swapaxes(0, 1)
        return image if length is None else image[:, :length]

    def _on_side(self, crop: int, side: int) -> Pixels:
        """Return the strip along a side, horizontal: top, left, bottom, right are 0 to 3."""
        w, h = self._size[crop]
        return side_strip(self._pixels[crop, :h, :w], side, round(STRIP_UM / self._mpp[crop]))

    def _mixed(self, rng: Rng, members: _Group, crop: int) -> Pixels:
        """Return a crop with some of its figure-free strips replaced by those of other crops."""
        w, h = self._size[crop]
        image = np.array(self._pixels[crop, :h, :w])
        for at, side in members.strips:
            if at != crop or rng.random() < 0.5:
                continue
            other = self._strip(rng, members)
            place = side_strip(image, side, round(STRIP_UM / members.mpp))
            n = min(place.shape[1], other.shape[1])
            fade = ramp(SEAM_PX)[::-1, None, None]
            alpha = np.ones((len(place), 1, 1), np.float32)
            alpha[-SEAM_PX:] = fade
            mixed = place[:, :n] * (1 - alpha) + other[:, :n] * alpha
            place[:, :n] = (mixed + 0.5).astype(np.uint8)
        return image

    # --- loading

    def _decode(self) -> tuple[Path, list[tuple[int, int]]]:
        images, problems = [], []
        for case in self._cases:
            try:
                with open_regular(str(case.image)) as stream, Image.open(stream) as file:
                    images.append(np.asarray(file.convert("RGB")))
            except OSError as error:
                problems.append(Problem(str(case.image), f"crop {case.id}", f"{error}"))
        if problems:
            raise RecipeError(problems)
        sizes = [(image.shape[1], image.shape[0]) for image in images]
        w, h = np.max(sizes, axis=0)
        folder = Path(tempfile.mkdtemp(prefix="metaphase-crops-"))
        self._delete = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        path = folder / "crops.npy"
        whole = np.lib.format.open_memmap(
            path, mode="w+", dtype=np.uint8, shape=(len(images), int(h), int(w), 3)
        )
        for row, image in zip(whole, images, strict=True):
            row[: image.shape[0], : image.shape[1]] = image
        whole.flush()
        return path, sizes

    def _open(self) -> None:
        self._pixels: Pixels = np.load(self._path, mmap_mode="r")

    def _grouped(self) -> list[_Group]:
        members: dict[tuple[str, str, float], list[int]] = {}
        for index, (case, mpp) in enumerate(zip(self._cases, self._mpp, strict=True)):
            members.setdefault((case.domain(), case.domain("group"), mpp), []).append(index)
        groups = [self._group(domain, mpp, ids) for (domain, _, mpp), ids in members.items()]
        usable = [group for group in groups if group.mitotic and group.strips]
        if not usable:
            raise RecipeError.of(
                "recipe",
                "no crop shows a whole mitotic figure with a strip beside it that holds none",
                record="data.sources",
                way_out="crops of 32 um (128 px at 0.25 um/px) with the figure inside serve",
            )
        return usable

    def _group(self, domain: str, mpp: float, ids: Sequence[int]) -> _Group:
        figures: dict[int, list[tuple[int, int]]] = {label.code: [] for label in Label}
        strips, of_crops = [], []
        for crop in ids:
            x1, y1, x2, y2 = self._valid[crop]
            of_crops.append(colour_statistics(self._pixels[crop, y1:y2, x1:x2]))
            targets = self._targets[crop]
            rim = RIM_UM / mpp
            for n, ((x, y), label) in enumerate(zip(targets.points, targets.labels, strict=True)):
                if min(x - x1, y - y1, x2 - x, y2 - y) >= rim:
                    figures[int(label)].append((crop, n))
            strips += [(crop, side) for side in range(4) if self._free(crop, side, targets.points)]
        mean = np.mean([one.mean for one in of_crops], axis=0)
        std = np.mean([one.std for one in of_crops], axis=0)
        mitotic, hard = figures[Label.MITOTIC.code], figures[Label.HARD_NEGATIVE.code]
        return _Group(
            domain, mpp, ColourStatistics(mean, std), tuple(mitotic), tuple(hard), tuple(strips)
        )

    def _free(self, crop: int, side: int, points: FloatArray) -> bool:
        """Whether the strip along a side lies in the image and contains no part of a figure."""
        w, h = self._size[crop]
        mpp = self._mpp[crop]
        thick, clear = round(STRIP_UM / mpp), CLEAR_UM / mpp
        x1, y1, x2, y2 = self._valid[crop]
        if (x1, y1, x2, y2) != (0, 0, w, h) or min(w, h) < 2 * thick:
            return False
        along = points[:, 1] if side in (0, 2) else points[:, 0]
        away = along if side < 2 else (h if side == 2 else w) - along
        return bool((away - clear >= thick).all())

    def __getstate__(self) -> dict[str, Any]:
        # The file belongs to the process that wrote it, which deletes it.
        return {k: v for k, v in self.__dict__.items() if k not in ("_pixels", "_delete")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()


def usable_crops(dataset: Dataset) -> Iterator[tuple[Case, Pixels, float]]:
    """Yield each crop that shows a figure, its pixels [h, w, 3] and its resolution in um/px.

    Raises RecipeError with every crop that cannot be used.
    """
    for case, mpp in zip(*_usable(dataset), strict=True):
        yield case, _pixels_of(case), mpp


def _pixels_of(case: Case) -> Pixels:
    try:
        with open_regular(str(case.image)) as stream, Image.open(stream) as file:
            return np.asarray(file.convert("RGB"))
    except OSError as error:
        raise RecipeError.of(str(case.image), f"{error}", record=f"crop {case.id}") from error


def _usable(dataset: Dataset) -> tuple[list[Case], list[float]]:
    problems, cases, mpps = [], [], []
    for case in dataset:
        mpp = case.mpp or scanner_mpp(case.scanner)
        record = f"crop {case.id}"
        if case.image is None:
            problems.append(Problem("recipe", record, "has no pixels", "name data.sources.images"))
        elif mpp is None:
            way_out = "give the source an mpp, or make two sources by 'only' and 'without'"
            problems.append(Problem("recipe", record, "its um/px is not known", way_out))
        elif case.labelled and case.figures:
            cases.append(case)
            mpps.append(mpp)
    if len(problems) > 10:
        left = len(problems) - 10
        more = Problem("recipe", "data.sources", f"and {left} more crops like these")
        problems = [*problems[:10], more]
    if not problems and not cases:
        problems.append(Problem("recipe", "data.sources", "the sources of crops hold no figures"))
    if problems:
        raise RecipeError(problems)
    return cases, mpps


def _weights(groups: Sequence[_Group], balance_cases: float) -> FloatArray:
    amount = np.array([len(g.mitotic) for g in groups], dtype=np.float64) ** (1 - balance_cases)
    domains = np.array([group.domain for group in groups])
    for domain in np.unique(domains):
        amount[domains == domain] /= amount[domains == domain].sum()
    return amount
