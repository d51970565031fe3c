"""Learn what a second scanner does to the pixels of a first, from registered pairs of fields.

    METAPHASE_DATA=... python -m studies.scanner_filters OUT.npz

Prints, for each slide, the number of tiles and the correlation of the filtered pixels with the
second scanner's own, on pixels that were not used to learn the filter, beside the correlation of
the first scanner's unfiltered pixels. The filters are for ``[augment.scanner]`` of a recipe.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from metaphase.arrays import Pixels
from metaphase.labels.dataset import Case
from metaphase.labels.read import load_dataset
from metaphase.training.patches.scannerfilters import learn_filters

FIRST, SECOND = "icpr2012", "icpr2012_hamamatsu"


def pairs(data: Path) -> Iterator[tuple[str, Pixels, Pixels]]:
    """Yield slide, first and second image of every field, both at the first one's resolution."""
    first, second = (
        load_dataset(data / name / "annotations.json", images=data / name / "images")
        for name in (FIRST, SECOND)
    )
    for case in second:
        partner = first[case.id.replace("H", "A", 1)]
        scale = _mpp(case) / _mpp(partner)
        with Image.open(str(partner.image)) as image:
            pixels = np.asarray(image.convert("RGB"))
        with Image.open(str(case.image)) as image:
            size = round(image.width * scale), round(image.height * scale)
            other = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
        yield case.domain("group").rpartition("/")[2], pixels, other


def _mpp(case: Case) -> float:
    assert case.mpp is not None
    return case.mpp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    filters = learn_filters(pairs(Path(os.environ["METAPHASE_DATA"])))
    filters.save(out)
    groups = np.array(filters.group)
    print("slide  filters  correlation (5 %, median, 95 %)")
    for group in (*sorted(set(filters.group)), "all"):
        mine = filters.correlation[(groups == group) | (group == "all")]
        low, middle, high = np.percentile(mine, (5, 50, 95))
        print(f"{group:5}  {len(mine):7}  {low:.3f} {middle:.3f} {high:.3f}")


if __name__ == "__main__":
    main()
