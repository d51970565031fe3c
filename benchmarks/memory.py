"""Peak memory and time of ``metaphase detect`` by the size of the slide and of its tissue.

Each run is a separate process. First larger slides with the same tissue, then more tissue: memory
should stay below a limit, and time should be proportional to the tissue.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.scene import Cost, Row, in_a_process, the_model, the_slide
from metaphase.models.modelfile import Model
from metaphase.phantom import SCANNERS, make_slide

GIGAPIXELS = {"tiny": (1 / 64,), "small": (1 / 16, 1 / 4, 1.0), "large": (1 / 4, 1.0, 4.0)}
TISSUE_MM2 = {"tiny": 0.2, "small": 2.0, "large": 4.0}
GROWING_MM2 = {"tiny": (0.2, 0.4), "small": (2.0, 8.0), "large": (6.25, 25.0, 100.0)}
BOUND_MIB = 1536.0


def rows(size: str = "small", model: str | None = None) -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        opened = the_model(Path(folder) / "model", model)
        for gigapixels in GIGAPIXELS[size]:
            path = _slide(Path(folder), gigapixels, TISSUE_MM2[size])
            cost = _detect(path, opened, Path(folder) / "out" / path.stem)
            peak = cost.peak_mib
            what = f"{gigapixels:.3g} gigapixels, {TISSUE_MM2[size]:g} mm2 of tissue"
            against = f"bound: {BOUND_MIB:.0f} MiB; {cost.seconds:.1f} s"
            yield what, f"{peak:.0f} MiB", against, f"{peak / BOUND_MIB:.2f}"
            path.unlink()
        first = before = None
        for mm2 in GROWING_MM2[size]:
            path = the_slide(Path(folder), mm2)
            cost = _detect(path, opened, Path(folder) / "out" / path.stem)
            each = cost.seconds / mm2
            first = first or each
            against = f"{each:.3f} s a mm2, at first {first:.3f}; {cost.peak_mib:.0f} MiB"
            measured = f"{cost.seconds:.1f} s ({cost.cpu_s:.0f} s of CPU)"
            yield f"{mm2:g} mm2 of tissue", measured, against, f"{each / first:.2f}"
            if before is not None:
                further = (cost.seconds - before[1]) / (mm2 - before[0])
                start = f"after a start of {cost.seconds - further * mm2:.1f} s"
                yield f"each mm2 from {before[0]:g} to {mm2:g}", f"{further:.3f} s", start, "-"
            before = mm2, cost.seconds
            path.unlink()


def _slide(folder: Path, gigapixels: float, tissue_mm2: float) -> Path:
    path = folder / f"slide-{gigapixels:g}gp.tiff"
    side = math.sqrt(gigapixels * 1e9)
    make_slide(path, int(side * 1.15), int(side / 1.15), tissue_mm2=tissue_mm2, scanner=SCANNERS[0])
    return path


def _detect(path: Path, model: Model, out: Path) -> Cost:
    return in_a_process(
        ["detect", str(path), "-m", str(model.folder), "-o", str(out), "--tissue", "--overwrite"]
    )
