"""COCO files that tests write: the ground truth of a data set, and bare lists of results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from metaphase.exchange import coco
from metaphase.figures import Detections
from metaphase.labels.dataset import Dataset


def write_ground_truth(dataset: Dataset, path: Path) -> None:
    images, annotations = [], []
    for number, case in enumerate(dataset, 1):
        name = case.image.name if case.image else case.id
        size = {"width": case.width_px, "height": case.height_px, "mpp": case.mpp}
        images.append({"id": number, "file_name": name, "scanner": case.scanner, **size})
        for figure in case.figures:
            x, y = figure.x_px, figure.y_px
            x1, y1, x2, y2 = figure.box or (x - 25, y - 25, x + 25, y + 25)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": figure.label.code + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "centroid": [x, y],
                }
            )
    content = {"images": images, "categories": coco.CATEGORIES, "annotations": annotations}
    path.write_text(json.dumps(content))


def write_results(detections: Mapping[str, Detections], path: Path, ids: Mapping[str, int]) -> None:
    rows = [row for name, one in detections.items() for row in coco.results(one, ids[name])]
    path.write_text(json.dumps(rows))
