"""Many small images against one slide of the same area: CPU seconds, with start and all files.

Fields of 0.13 mm2 as PNG, and the same fields side by side in one JPEG-tiled TIFF. The start
of the program, measured with one field, is taken off both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile
from PIL import Image

from benchmarks.scene import Cost, Row, in_a_process, the_model

FIELDS = {"tiny": 2, "small": 25, "large": 100}
SIDE, MPP = 1450, 0.25
TARGET = 1.2


def rows(size: str = "small", model: str | None = None) -> Iterator[Row]:
    count = FIELDS[size]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        opened = str(the_model(root / "model", model).folder)
        first, images, slide = _images(root, count)
        start = _detect(first, root / "start", opened)
        many, one = (_detect(path, root / path.stem, opened) for path in (images, slide))
    each = (many.cpu_s - start.cpu_s) / max(1, count - 1)
    area = SIDE**2 * MPP**2 * 1e-6
    # The start has one field in it.
    net = start.cpu_s - each
    ratio = (many.cpu_s - net) / max(1e-9, one.cpu_s - net)
    yield "start of the program", f"{max(0.0, net):.1f} s of CPU", "in both", "-"
    yield f"a field of {area:.2f} mm2", f"{each:.2f} s of CPU", f"{each / area:.2f} s a mm2", "-"
    yield (
        f"{count} fields",
        f"{many.cpu_s:.1f} s of CPU, {many.seconds:.1f} s",
        f"one slide: {one.cpu_s:.1f} s of CPU, {one.seconds:.1f} s; target {TARGET:g}",
        f"{ratio:.2f}",
    )
    yield "peak memory", f"{many.peak_mib:.0f} MiB", f"one slide: {one.peak_mib:.0f} MiB", "-"


def _images(root: Path, count: int) -> tuple[Path, Path, Path]:
    """Write the first field, a folder of all fields, and the slide of all fields."""
    from metaphase.phantom.region import render_region

    images, first = root / "fields", root / "first"
    images.mkdir()
    first.mkdir()
    drawn = [render_region(seed, SIDE, SIDE)[0] for seed in range(min(count, 4))]
    for number in range(count):
        image = Image.fromarray(drawn[number % len(drawn)])
        image.save(images / f"{number:03d}.png")
    Image.fromarray(drawn[0]).save(first / "first.png")
    columns = math.ceil(math.sqrt(count))
    whole = np.full((math.ceil(count / columns) * SIDE, columns * SIDE, 3), 255, np.uint8)
    for number in range(count):
        y, x = divmod(number, columns)
        whole[y * SIDE : (y + 1) * SIDE, x * SIDE : (x + 1) * SIDE] = drawn[number % len(drawn)]
    slide = root / "slide.tif"
    jpeg = {"photometric": "ycbcr", "compression": "jpeg", "compressionargs": {"level": 80}}
    tifffile.imwrite(slide, whole, tile=(256, 256), subsampling=(2, 2), **jpeg)
    return first, images, slide


def _detect(images: Path, out: Path, model: str) -> Cost:
    arguments = ["detect", str(images), "-m", model, "-o", str(out.with_suffix(".out"))]
    return in_a_process([*arguments, "--mpp", str(MPP), "--no-overlay", "--no-tissue", "--quiet"])
