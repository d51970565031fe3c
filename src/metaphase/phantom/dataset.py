"""A synthetic data set in the format of MIDOG 2021: one JSON file of labels, a folder of TIFFs."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from metaphase import __version__
from metaphase.arrays import Pixels
from metaphase.errors import InputError
from metaphase.figures import Label
from metaphase.files import read_text, whole_file, write_json
from metaphase.phantom.region import (
    HARD_NEGATIVE_PER_MM2,
    MITOTIC_PER_MM2,
    SyntheticFigure,
    render_region,
)
from metaphase.phantom.scanners import SCANNERS, Scanner

LABELS_NAME = "MIDOG.json"
IMAGES_NAME = "images"
BOX_PX = 50
TUMOUR = "synthetic tumour"
MAX_SIZE_PX = 16_384  # larger images should be pyramidal slides

Progress = Callable[[int, int], None]
Record = dict[str, Any]

_CATEGORIES = {Label.MITOTIC: 1, Label.HARD_NEGATIVE: 2}
_TILE_PX = 256
_DESCRIPTION = "Synthetic phantom"


def make_phantom(
    out: str | Path,
    *,
    seed: int = 0,
    cases_per_scanner: int = 4,
    size_px: int = 1536,
    scanners: Sequence[Scanner] = SCANNERS,
    mitotic_per_mm2: float = MITOTIC_PER_MM2,
    hard_negative_per_mm2: float = HARD_NEGATIVE_PER_MM2,
    progress: Progress | None = None,
) -> Path:
    """Write a synthetic data set and return the path of its MIDOG.json.

    OUT/MIDOG.json has the format of MIDOG 2021 (boxes of 50 px as x1, y1, x2, y2; categories
    "mitotic figure" and "hard negative"); each image also has its scanner, its mpp and whether it
    is labelled. OUT/images/synthetic_NNN.tiff are the regions: square, tiled, deflate, with the
    resolution in the tags. The same arguments give the same bytes, and a case does not depend on
    the other cases or scanners. Images of an unlabelled scanner contain figures too, but have no
    annotations.

    ``progress(done, total)`` is called after each image. The labels are written last, so that an
    interrupted data set has none. Raises InputError for impossible sizes, and if OUT contains
    labels that are not synthetic.
    """
    out = Path(out)
    if cases_per_scanner < 1 or seed < 0 or size_px > MAX_SIZE_PX:
        raise InputError.of(
            out,
            f"cannot make {cases_per_scanner} cases per scanner of {size_px} px with seed {seed}",
            way_out=f"at least one case, at most {MAX_SIZE_PX} px, and a seed from 0",
        )
    if not scanners:
        raise InputError.of(out, "cannot make images without a scanner")
    remove_synthetic_labels(out / LABELS_NAME)
    images: list[Record] = []
    annotations: list[Record] = []
    jobs = list(itertools.product(scanners, range(cases_per_scanner)))
    for number, (scanner, case) in enumerate(jobs, 1):
        pixels, figures = render_region(
            case_seed(seed, scanner, case),
            size_px,
            size_px,
            scanner,
            mitotic_per_mm2=mitotic_per_mm2,
            hard_negative_per_mm2=hard_negative_per_mm2,
        )
        name = f"{IMAGES_NAME}/synthetic_{number:03d}.tiff"
        write_region(out / name, pixels, scanner.mpp)
        images.append(_image(number, name, size_px, scanner))
        if scanner.labelled:
            for figure in figures:
                annotations.append(annotation(len(annotations) + 1, number, figure))
        if progress:
            progress(number, len(jobs))
    write_json(out / LABELS_NAME, label_file(images, annotations, seed))
    return out / LABELS_NAME


def case_seed(seed: int, scanner: Scanner, case: int) -> list[int]:
    """Return the seed of a scanner's case, counted from 0, independent of other scanners."""
    return [seed, crc32(scanner.name.encode()), case]


def remove_synthetic_labels(path: Path) -> None:
    """Remove older synthetic labels, which do not belong to the new pixels.

    Raises InputError, and removes nothing, if the labels are not synthetic.
    """
    if not path.exists():
        return
    try:
        info = json.loads(read_text(path))["info"]["description"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        info = ""
    if not str(info).startswith(_DESCRIPTION):
        raise InputError.of(
            path, "exists and is not synthetic", way_out="choose another name or folder"
        )
    path.unlink()


def label_file(images: list[Record], annotations: list[Record], seed: int) -> Record:
    """Return the content of a label file in the format of MIDOG 2021."""
    return {
        "info": {
            "description": f"{_DESCRIPTION}, drawn by metaphase; no tissue, no patients",
            "version": __version__,
            "seed": seed,
            "bbox": "x1, y1, x2, y2",
        },
        "licenses": [{"id": 1, "name": "CC0 1.0"}],
        "images": images,
        "categories": [{"id": code, "name": str(label)} for label, code in _CATEGORIES.items()],
        "annotations": annotations,
    }


def annotation(id_: int, image_id: int, figure: SyntheticFigure) -> Record:
    """Return the record of one figure; ``kind`` is its phase or the kind of hard negative."""
    x, y = round(figure.x_px - BOX_PX / 2), round(figure.y_px - BOX_PX / 2)
    return {
        "id": id_,
        "image_id": image_id,
        "category_id": _CATEGORIES[figure.label],
        "bbox": [x, y, x + BOX_PX, y + BOX_PX],
        "kind": figure.kind,
    }


def write_region(path: Path, pixels: Pixels, mpp: float) -> None:
    """Write pixels [h, w, 3] as a lossless tiled TIFF with the resolution in its tags."""
    import tifffile

    per_cm = 1e4 / mpp
    with whole_file(path) as temporary:
        tifffile.imwrite(
            temporary,
            pixels,
            photometric="rgb",
            tile=(_TILE_PX, _TILE_PX),
            compression="deflate",
            predictor=True,
            resolution=(per_cm, per_cm),
            resolutionunit="CENTIMETER",
            description="synthetic, drawn by metaphase",
            software="metaphase",
            metadata=None,
            maxworkers=1,
        )


def _image(number: int, name: str, size_px: int, scanner: Scanner) -> Record:
    return {
        "id": number,
        "file_name": name,
        "width": size_px,
        "height": size_px,
        "license": 1,
        "scanner": scanner.name,
        "mpp": scanner.mpp,
        "tumor_type": TUMOUR,
        "labelled": scanner.labelled,
    }
