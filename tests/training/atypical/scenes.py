"""Figures that a network tells apart in seconds: dark dots, atypical ones with a second dot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 64


def write_crops(folder: Path, cases: int = 6, figures: int = 6) -> Path:
    """Write crops around figures, one in three atypical, and return the label file (COCO)."""
    rng = np.random.default_rng(3)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(cases * figures):
        atypical = number % 3 == 0
        pixels = rng.normal((225, 190, 215), 6, (SIDE, SIDE, 3)).clip(0, 255).astype(np.uint8)
        image = Image.fromarray(pixels)
        draw = ImageDraw.Draw(image)
        draw.ellipse((24, 24, 40, 40), fill=(60, 30, 90))
        if atypical:
            draw.ellipse((42, 28, 50, 36), fill=(60, 30, 90))
        name = f"crop{number}.png"
        image.save(folder / "images" / name)
        images.append(
            {
                "id": number,
                "file_name": name,
                "width": SIDE,
                "height": SIDE,
                "slide": f"S{number // figures}",
                "scanner": "A" if number // figures % 2 else "B",
                "atypical": atypical,
            }
        )
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1, "bbox": [20, 20, 24, 24]}
        )
    data = {
        "info": {"description": "crops", "mpp": 0.25, "bbox": "COCO xywh"},
        "images": images,
        "categories": [{"id": 1, "name": "mitotic figure"}],
        "annotations": annotations,
    }
    path = folder / "labels.json"
    path.write_text(json.dumps(data))
    return path
