"""F1 on left-out fields with lower precision, on every runtime, compared with fp32.

    python -m studies.precision_cost RUN
    python -m studies.precision_cost MODEL --fields annotations.json --only 'A04_*' \\
        --calibrate annotations.json --calibrate-only 'A00_*'

8-bit graphs are calibrated as in ``metaphase export``: on tiles distributed evenly over the
training fields of a fold (never its left-out fields), or of ``--calibrate``; without any, on a
synthetic image. Each variant is scored at the threshold that was frozen for fp32.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from metaphase.arrays import Pixels
from metaphase.detection.plan import Settings, make_plan
from metaphase.detection.runtime import open_runtime
from metaphase.errors import MetaphaseError
from metaphase.evaluation.evaluate import evaluate
from metaphase.figures import Detections
from metaphase.labels.dataset import Dataset
from metaphase.labels.read import load_dataset
from metaphase.models.modelfile import Model
from metaphase.models.precision import Precision, export_model
from metaphase.slides.open import open_case
from metaphase.slides.slide import Slide
from studies.common import (
    Subject,
    arguments,
    as_slide,
    detect_fields,
    finish,
    part,
    print_table,
    subjects,
)

Variant = Precision | Literal["bf16"]

VARIANTS: tuple[tuple[Variant, str], ...] = (
    ("fp32", "onnx"),
    ("fp32", "openvino"),
    ("bf16", "openvino"),
    ("bf16", "torch"),
    ("fp16", "onnx"),
    ("int8", "onnx"),
    ("int8", "openvino"),
)
TILES = 64


def calibration(subject: Subject, count: int) -> list[Pixels]:
    """Return tiles of the model's size spread evenly over its training fields."""
    found: list[Pixels] = []
    slides = list(_slides(subject.training, count))
    each = -(-count // len(slides))
    for slide in slides:
        with slide:
            plan = make_plan(slide, subject.model, Settings(tissue=False))
            chosen = np.linspace(0, len(plan.tiles) - 1, min(each, len(plan.tiles))).round()
            for number in plan.tiles[chosen.astype(int)].tolist():
                (x, y), scale, side = plan.grid.corner(number), plan.grid.scale, plan.grid.tile
                found.append(slide.read(x * scale, y * scale, side, side, plan.mpp))
    return found[:count]


def _slides(training: Dataset, count: int) -> Iterator[Slide]:
    if len(training):
        yield from (open_case(case) for case in training.cases[:count])
        return
    from metaphase.phantom.region import render_region
    from metaphase.phantom.scanners import SCANNERS

    yield as_slide(render_region(0, 2048, 2048, SCANNERS[0])[0], SCANNERS[0].mpp)


def variant(model: Model, precision: Variant, folder: Path, subject: Subject, tiles: int) -> Model:
    """Return the model in a precision, made anew in a folder."""
    if precision in ("fp32", "bf16"):  # bfloat16 is how a runtime computes, not another graph
        return model
    made = calibration(subject, tiles) if precision == "int8" else None
    return export_model(model, folder, precision, tiles=made)


def measure(who: list[Subject], wanted: list[str], tiles: int) -> dict[str, Any]:
    """Return the pooled scores of each variant that can be run here."""
    result: dict[str, Any] = {}
    fields = Dataset([case for subject in who for case in subject.fields])
    with tempfile.TemporaryDirectory() as scratch:
        made: dict[tuple[str, str], Model] = {}
        for precision, device in VARIANTS:
            name = f"{precision} {device}"
            if wanted and name not in wanted and name != "fp32 onnx":
                continue
            found: dict[str, Detections] = {}
            runtime = ""
            size = 0
            try:
                for i, subject in enumerate(who):
                    key = (str(i), precision)
                    if key not in made:
                        folder = Path(scratch, precision, str(i))
                        made[key] = variant(subject.model, precision, folder, subject, tiles)
                    changed = replace(subject, model=made[key])
                    asked = precision if precision in ("fp32", "bf16") else "auto"
                    opened = open_runtime(made[key], device, threads=1, precision=asked)
                    found |= detect_fields(changed, opened)
                    path = made[key].onnx_path
                    runtime, size = opened.name, path.stat().st_size if path else 0
            except MetaphaseError as error:
                print(f"{name}: left out: {error}")
                continue
            scores = evaluate(found, fields)
            counts = scores.overall.counts
            result[name] = {
                "runtime": runtime, "graph_mb": size / 1e6,
                "f1": counts.f1, "average_precision": scores.average_precision,
                "tp": counts.tp, "fp": counts.fp, "fn": counts.fn,
            }  # fmt: skip
            _print_one(name, result)
    return result


def _print_one(name: str, result: dict[str, Any]) -> None:
    plain, this = result["fp32 onnx"], result[name]
    for score in ("f1", "average_precision"):
        this[f"{score}_change"] = (this[score] or 0.0) - (plain[score] or 0.0)
    print(f"{name}: F1 {this['f1'] or 0:.4f}, {this['f1_change']:+.4f}", flush=True)


def _row(name: str, scored: dict[str, Any]) -> list[Any]:
    rates = [f"{scored['f1'] or 0:.4f}", f"{scored['f1_change']:+.4f}"]
    rates += [f"{scored['average_precision_change']:+.4f}"]
    counts = [scored["tp"], scored["fp"], scored["fn"]]
    return [name, scored["runtime"], f"{scored['graph_mb']:.1f}", *rates, *counts]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--calibrate", type=Path, help="labels of fields to calibrate a model on")
    parser.add_argument("--calibrate-images", type=Path, help="folder of their images")
    parser.add_argument("--calibrate-only", nargs="*", default=[], help="ids, patterns, @list")
    parser.add_argument("--tiles", type=int, default=TILES, help="tiles to calibrate on")
    parser.add_argument("--variants", nargs="*", default=[], help="such as 'int8 openvino'")
    given = parser.parse_args()
    who = subjects(given)
    if any(not len(subject.fields) for subject in who):
        parser.error("name fields with --fields, or give a cross-validation")
    if given.calibrate is not None:
        whole = load_dataset(given.calibrate, images=given.calibrate_images)
        chosen = part(whole, given.calibrate_only)
        who = [replace(subject, training=chosen) for subject in who]
    result = measure(who, given.variants, given.tiles)
    rows = [_row(name, scored) for name, scored in result.items()]
    head = [
        "variant",
        "runtime",
        "graph, MB",
        "F1",
        "against fp32",
        "AP against fp32",
        "TP",
        "FP",
        "FN",
    ]
    print_table("F1 on the left-out fields at the frozen threshold", head, rows)
    finish(result, given.json)


if __name__ == "__main__":
    main()
