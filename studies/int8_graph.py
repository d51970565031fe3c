"""What the 8-bit graph of the proposals costs in F1 on left-out fields, and adding it to a model.

    python -m studies.int8_graph MODEL --fields annotations.json --calibrate training.json
    python -m studies.int8_graph MODEL --calibrate a.json b.json --measured n1.json a1.json --write

The graph is calibrated on tiles of the fields of ``--calibrate``, which must not be those of
``--fields``. Both precisions are scored on each file of fields (one per scanner); the second stage
is in float32 in both. With ``--write`` the graph is added to the model with the largest loss of F1
on its card: ``--precision auto`` uses it if that is at most 0.003. One figure of 200 changes F1 by
as much, so that the loss is that of the mean F1 at nine thresholds, from half of the frozen one to
twice.
``--measured`` are results (``--json``) of models of the same recipe that had not seen the fields:
for a model that was trained on all of them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.detection.cores import has_int8
from metaphase.detection.runtime import MOST_F1_LOST, open_runtime
from metaphase.evaluation.evaluate import evaluate
from metaphase.figures import Detections
from metaphase.labels.dataset import Dataset
from metaphase.labels.read import load_dataset
from metaphase.models.modelfile import Model, load_model, save_int8
from metaphase.models.precision import add_int8
from studies.common import Subject, detect_fields, finish, part, print_table, some
from studies.precision_cost import calibration

PRECISIONS = ("fp32", "int8")
THRESHOLDS = 9
COLUMNS = ("f1", "mean_f1", "average_precision", "cpu_s")


def scored(model: Model, fields: Dataset) -> dict[str, dict[str, Any]]:
    """Return the scores of a model with an 8-bit graph in both precisions."""
    threshold = model.card.threshold.value
    subject = Subject(model.card.name, model, threshold, fields, Dataset(()))
    result = {}
    for precision in PRECISIONS:
        runtime = open_runtime(model, "openvino", threads=1, precision=precision)
        began = time.process_time()
        found = detect_fields(subject, runtime)
        cpu_s = time.process_time() - began
        scores = evaluate(found, fields)
        counts = scores.overall.counts
        result[precision] = {
            "runtime": runtime.name,
            "cpu_s": cpu_s,
            "f1": counts.f1,
            "mean_f1": mean_f1(found, fields, subject.threshold),
            "average_precision": scores.average_precision,
            "tp": counts.tp,
            "fp": counts.fp,
            "fn": counts.fn,
        }
    return result


def at(found: Mapping[str, Detections], threshold: float) -> dict[str, Detections]:
    """Return detections with another threshold."""
    return {name: one.with_provenance(threshold=threshold) for name, one in found.items()}


def mean_f1(found: Mapping[str, Detections], fields: Dataset, threshold: float) -> float:
    """Return the mean F1 at ``THRESHOLDS`` thresholds from half of one to twice."""
    around = np.geomspace(threshold / 2, min(2 * threshold, 1.0), THRESHOLDS)
    scores = [evaluate(at(found, float(value)), fields).overall.counts.f1 for value in around]
    return float(np.mean([score or 0.0 for score in scores]))


def loss(results: dict[str, dict[str, dict[str, Any]]]) -> float:
    """Return the change of the mean F1 on the worst source; negative where 8 bits score lower."""
    return min(float(r["int8"]["mean_f1"]) - float(r["fp32"]["mean_f1"]) for r in results.values())


def main() -> None:
    given = _arguments()
    model = load_model(given.model)
    sources = [part(load_dataset(path), given.calibrate_only) for path in given.calibrate]
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "model"
        shutil.copytree(model.folder, copy)
        tiles = [
            tile
            for source in sources
            for tile in calibration(
                Subject("", model, model.card.threshold.value, Dataset(()), source),
                given.tiles // len(sources),
            )
        ]
        made = add_int8(load_model(copy), tiles)
        results: dict[str, dict[str, dict[str, Any]]] = {}
        for path in given.fields:
            fields = some(part(load_dataset(path).labelled(), given.only), given.limit)
            results[path.parent.name] = scored(made, fields)
        for path in given.measured:
            results |= json.loads(path.read_text("utf-8"))["fields"]
        if not results:
            raise SystemExit("name labels with --fields, or measured results with --measured")
        _print(results)
        change = round(loss(results), 4)
        if given.write:
            note = {"calibration_tiles": len(tiles), "f1_change": change}
            save_int8(model, made.graph("int8"), {**note, "measured_on": ", ".join(results)})
            print(f"added to {model.folder}; auto: {change >= -MOST_F1_LOST}")
    finish({"int8_instructions": has_int8(), "f1_change": change, "fields": results}, given.json)


def _print(results: dict[str, dict[str, dict[str, Any]]]) -> None:
    rows = [
        [
            *(name, precision, r[precision]["runtime"]),
            *(float(r[precision][key] or np.nan) for key in COLUMNS),
            *(r[precision][key] for key in ("tp", "fp", "fn")),
        ]
        for name, r in results.items()
        for precision in PRECISIONS
    ]
    head = ["fields", "precision", "runtime", "F1", "mean F1", "AP", "CPU s", "TP", "FP", "FN"]
    print_table("Proposals in 8 bits", head, rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="a model file")
    parser.add_argument("--fields", type=Path, nargs="+", default=[], help="labels of fields")
    parser.add_argument(
        "--measured", type=Path, nargs="+", default=[], help="JSON of this command for other models"
    )
    parser.add_argument("--only", nargs="*", default=[], help="fields to use: ids, patterns, @list")
    parser.add_argument("--limit", type=int, help="fields of each file: for a quick try")
    parser.add_argument(
        "--calibrate", type=Path, nargs="+", required=True, help="labels of other fields"
    )
    parser.add_argument("--calibrate-only", nargs="*", default=[], help="ids, patterns, @list")
    parser.add_argument("--tiles", type=int, default=32, help="tiles to calibrate on")
    parser.add_argument("--write", action="store_true", help="add the graph to the model")
    parser.add_argument("--json", type=Path, help="file for the numbers as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
