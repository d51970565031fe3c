"""A slide that is drawn where it is read, a runtime that sees its dots, and a model that fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from metaphase.detection.runtime import Runtime
from metaphase.errors import SlideError
from metaphase.figures import Label
from metaphase.models.card import HeadSpec, InputSpec, Level, ModelCard, Threshold
from metaphase.models.modelfile import Model
from metaphase.slides.slide import Slide

DOT_UM = 2.5  # radius of a dot
GREY = {Label.MITOTIC: 10, Label.HARD_NEGATIVE: 60}


class DotSlide(Slide):
    """White with dots at exact places, drawn without resampling at any resolution."""

    def __init__(self, width, height, mpp, dots, labels=None, path="dots.tif"):
        self.path = Path(path)
        self.width_px, self.height_px, self.mpp = width, height, mpp
        self.mpp_source, self.properties = "user", {}
        self.dots = np.asarray(dots, float).reshape(-1, 2)
        self.labels = labels or [Label.MITOTIC] * len(self.dots)
        self.reads = 0

    def read(self, x_px, y_px, width, height, mpp=None):
        self.reads += 1
        step = (mpp or self.mpp) / self.mpp
        xs = x_px + (np.arange(width) + 0.5) * step
        ys = y_px + (np.arange(height) + 0.5) * step
        image = np.full((height, width, 3), 255, np.uint8)
        reach = DOT_UM / self.mpp
        for (x, y), label in zip(self.dots, self.labels, strict=True):
            rows = slice(*np.searchsorted(ys, (y - reach, y + reach + step)))
            columns = slice(*np.searchsorted(xs, (x - reach, x + reach + step)))
            disc = (xs[None, columns] - x) ** 2 + (ys[rows, None] - y) ** 2 <= reach**2
            image[rows, columns][disc] = GREY[label]
        # What lies outside the image is white, whatever dot reaches there.
        image[:, (xs < 0) | (xs > self.width_px)] = 255
        image[(ys < 0) | (ys > self.height_px)] = 255
        return image

    def close(self):
        self.read = self._closed

    def _closed(self, *_):
        raise SlideError.of(self.path, "is closed")


class DotRuntime(Runtime):
    """Gives the maps of a network that finds every dot in a tile at its centre of mass."""

    name = "dots"

    def __init__(self, head, outwards=0.0):
        self.head = head
        self.outwards = outwards  # px that a dot seems to lie further from the tile's middle
        self.tiles = 0
        self.batches = []

    def run(self, tiles):
        self.tiles += len(tiles)
        self.batches.append(len(tiles))
        n, h, w, _ = tiles.shape
        stride = self.head.levels[0].stride
        rows, columns = int(h / stride), int(w / stride)
        logits = np.full((n, len(self.head.classes), rows, columns), -10, np.float32)
        offsets = np.zeros((n, 2, rows, columns), np.float32)
        for i, tile in enumerate(tiles):
            for channel, label in enumerate(self.head.classes):
                spots, count = ndimage.label(tile[..., 0] == GREY[label])
                for spot in range(1, count + 1):
                    ys, xs = np.nonzero(spots == spot)
                    x, y = xs.mean() + 0.5, ys.mean() + 0.5
                    x += self.outwards * np.sign(x - w / 2)
                    y += self.outwards * np.sign(y - h / 2)
                    column = min(int(x / stride), columns - 1)
                    row = min(int(y / stride), rows - 1)
                    # A dot that the tile's edge cuts has fewer pixels and so a lower score.
                    logits[i, channel, row, column] = min(len(xs) / 50, 6)
                    offsets[i, :, row, column] = (
                        x / stride - column - 0.5,
                        y / stride - row - 0.5,
                    )
        return [logits, offsets]


def make_card(
    *, mpp=0.25, tile=128, margin=32, stride=8, classes=(Label.MITOTIC,), radius=5.0, **changes
):
    values = {
        "name": "dots",
        "created": "2026-01-01T00:00:00Z",
        "metaphase": "0",
        "network": "compact",
        "network_options": {},
        # Of one size, so that the number of tiles can be counted.
        "input": InputSpec(mpp=mpp, tile_px=tile, margin_px=margin, multiple_px=tile),
        "head": HeadSpec(kind="centre", levels=(Level(stride=stride),), classes=classes),
        "normalisation": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
        "merge_radius_um": radius,
        "threshold": Threshold(value=0.5, chosen_on="nothing", protocol="none"),
        "training_data": [],
        "recipe": {},
        "seed": 0,
        "versions": {},
    }
    return ModelCard(**{**values, **changes})


def make_model(**options):
    return Model(make_card(**options), Path("dots"), "an id")


def results_in(folder):
    """Return the bytes of all files by their relative paths, without the seconds they took."""
    files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    if "summary.csv" in files:
        rows = files["summary.csv"].splitlines()
        files["summary.csv"] = b"\n".join(row.rpartition(b",")[0] for row in rows)
    return files
