"""A slide with 100 mm2 of tissue, from the command line to the files: seconds.

A synthetic slide, which is drawn before the measurement, in a separate process, with start-up,
hashing, tissue, overlay and all files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.scene import INSTRUCTIONS, Row, in_a_process, the_model, the_slide
from metaphase.detection.cores import physical_cores
from metaphase.detectionfile import load_detections

TISSUE_MM2 = {"tiny": 0.3, "small": 100.0, "large": 100.0}
TARGET_S = {"bf16": 50.0, "int8": 50.0, "fp32": 180.0}
"""By the precision of the proposals: seconds for 100 mm2 on two cores."""


def rows(size: str = "large", model: str | None = None) -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        opened = the_model(Path(folder) / "model", model)
        path = the_slide(Path(folder), TISSUE_MM2[size])
        limit = os.environ.get(INSTRUCTIONS)
        # What "auto" takes depends on the CPU itself.
        for precision in ("fp32",) if limit else ("auto", "fp32"):
            out = Path(folder) / precision
            arguments = ["detect", str(path), "-m", str(opened.folder), "-o", str(out)]
            try:
                cost = in_a_process([*arguments, "--tissue", "--precision", precision])
            except RuntimeError as error:
                yield (
                    f"--precision {precision}",
                    "not measured",
                    str(error).splitlines()[-1][:60],
                    "-",
                )
                continue
            made = load_detections(out / path.stem).provenance
            what = f"{TISSUE_MM2[size]:g} mm2, {made.runtime}, {physical_cores()} cores"
            what += f", {limit} alone" if limit else ""
            tiles = f"{made.parameters.tiles} tiles, {cost.peak_mib:.0f} MiB"
            target = TARGET_S[made.parameters.precision or "fp32"]
            against = f"{tiles}; target at 100 mm2: {target:.0f} s"
            measured = f"{cost.seconds:.1f} s ({cost.cpu_s:.0f} s of CPU)"
            yield what, measured, against, f"{cost.seconds / target:.2f}"
