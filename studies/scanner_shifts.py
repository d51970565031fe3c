"""Differences between real scanners in hue, saturation, brightness and the two stains.

    python -m studies.scanner_shifts shifts.json

Reads the crops of ``ami_br`` (without their centre, where the figure is) and the fields of ICPR
2012 of both scanners (without the figures of the NanoZoomer's, whose pixels were translated from
the Aperio) under $METAPHASE_DATA. For every image the means over tissue are computed, for every
scanner the median of its slides, and for every pair of scanners the difference. Prints a Markdown
table and the largest differences; writes everything as JSON, which ``metaphase stress --shifts``
marks in its plots. Takes about a minute on one core.

Hue is the angle and saturation the length of the mean colour in the plane of YIQ's I and Q,
brightness the mean Y. Stains are those of Ruifrok and Johnston, at the 95th percentile of an image.
Saturation, brightness and stains differ by a factor (its logarithm in the JSON), hue by degrees.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from metaphase.stain.vectors import RUIFROK
from metaphase.training.patches.colour import YIQ

RATIOS = ("saturation", "brightness", "haematoxylin", "eosin")
STRONG = 95.0
MOST_CROPS = 12  # of a slide
RIM_PX = 12  # around a figure's tight box, where its pixels were blended
_OD = -np.log((np.arange(256) + 1) / 256)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    data = Path(os.environ["METAPHASE_DATA"])
    slides: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for scanner, slide, pixels, mask in (*crops(data), *fields(data), *nanozoomer(data)):
        numbers = measure(pixels, mask)
        if numbers is not None:
            slides[scanner][slide].append(numbers)
    means = {scanner: median(by_slide) for scanner, by_slide in slides.items()}
    result = {
        "scanners": {name: {"slides": len(slides[name]), **mean} for name, mean in means.items()},
        "largest": {
            name: max(apart(a, b, name) for a, b in combinations(means.values(), 2))
            for name in ("hue", *RATIOS)
        },
        "median": {
            name: float(np.median([apart(a, b, name) for a, b in combinations(means.values(), 2)]))
            for name in ("hue", *RATIOS)
        },
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print("| scanner | slides | hue, degrees | saturation | brightness | haematoxylin | eosin |")
    print("|---|---|---|---|---|---|---|")
    for name, row in means.items():
        cells = " | ".join(f"{row[n]:.3f}" for n in RATIOS)
        print(f"| {name} | {len(slides[name])} | {row['hue']:.1f} | {cells} |")
    largest = result["largest"]
    cells = " | ".join(f"x {np.exp(largest[n]):.2f}" for n in RATIOS)
    print(f"| largest difference | | {largest['hue']:.1f} | {cells} |")


def apart(a: dict[str, float], b: dict[str, float], name: str) -> float:
    if name == "hue":
        return abs((a["hue"] - b["hue"] + 180) % 360 - 180)
    return float(abs(np.log(a[name] / b[name])))


def median(by_slide: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    rows = [{k: float(np.mean([i[k] for i in s])) for k in s[0]} for s in by_slide.values()]
    return {key: float(np.median([row[key] for row in rows])) for key in rows[0]}


def measure(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> dict[str, float] | None:
    od = _OD[pixels]
    tissue = mask & (od.mean(axis=2) > 0.15) & (pixels.max(axis=2) > 8)
    if tissue.mean() < 0.1:
        return None
    y, i, q = YIQ @ (pixels[tissue].mean(axis=0) / 255)
    # A high percentile: a mean would depend on the number of nuclei.
    stains = np.percentile(od[tissue] @ np.linalg.inv(RUIFROK), STRONG, axis=0)
    return {
        "hue": float(np.degrees(np.arctan2(q, i))),
        "saturation": float(np.hypot(i, q)),
        "brightness": float(y),
        "haematoxylin": float(max(stains[0], 1e-3)),
        "eosin": float(max(stains[1], 1e-3)),
    }


Pictures = Iterator[tuple[str, str, NDArray[np.uint8], NDArray[np.bool_]]]


def crops(data: Path) -> Pictures:
    annotations = json.loads((data / "ami_br" / "annotations.json").read_text())
    seen: dict[tuple[str, str], int] = defaultdict(int)
    for image in annotations["images"]:
        key = image["scanner"], image["slide"]
        seen[key] += 1
        if seen[key] <= MOST_CROPS:
            pixels = read(data / "ami_br" / "images" / image["file_name"])
            mask = np.ones(pixels.shape[:2], bool)
            mask[38:90, 38:90] = False
            yield image["scanner"].split(" (")[0], image["slide"], pixels, mask


def fields(data: Path) -> Pictures:
    annotations = json.loads((data / "icpr2012" / "annotations.json").read_text())
    for image in annotations["images"]:
        pixels = read(data / "icpr2012" / "images" / image["file_name"])
        yield "Aperio XT (ICPR 2012)", image["slide"], pixels, np.ones(pixels.shape[:2], bool)


def nanozoomer(data: Path) -> Pictures:
    """Yield the second scanner's fields without the figures, whose pixels are not its own."""
    folder = data / "icpr2012_hamamatsu"
    annotations = json.loads((folder / "annotations.json").read_text())
    boxes = defaultdict(list)
    for figure in annotations["annotations"]:
        boxes[figure["image_id"]].append(figure["bbox"])
    for image in annotations["images"]:
        pixels = read(folder / "images" / image["file_name"])
        mask = np.ones(pixels.shape[:2], bool)
        for x, y, width, height in boxes[image["id"]]:
            rows = slice(max(int(y) - RIM_PX, 0), int(y + height) + RIM_PX)
            columns = slice(max(int(x) - RIM_PX, 0), int(x + width) + RIM_PX)
            mask[rows, columns] = False
        yield "Hamamatsu NanoZoomer (ICPR 2012)", image["slide"], pixels, mask


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


if __name__ == "__main__":
    main()
