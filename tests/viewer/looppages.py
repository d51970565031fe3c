"""A learning loop over the slides of the tests, without a model: nothing of it is computed."""

from __future__ import annotations

import json

import numpy as np

from metaphase.detectionfile import save_detections
from metaphase.learning.candidates import SlideCandidates
from metaphase.learning.loopfolder import LoopFolder, LoopImage, LoopSettings


def make_loop(folder, slides, detections):
    """Write a loop of the slides; the candidates are the mitotic detections."""
    images = [LoopImage(name=e.key, path=e.path, mpp=e.mpp) for e in slides]
    loop = LoopFolder(folder)
    folder.mkdir()
    settings = LoopSettings(model="compact", model_id="0" * 64, images=tuple(images))
    loop.settings_file.write_text(settings.model_dump_json())
    order = []
    for entry in slides:
        one = detections[entry.key]
        save_detections(one, loop.detections / entry.key)
        mitotic = one.where(one.label == 0)
        n = len(mitotic)
        SlideCandidates(
            mitotic.x_px, mitotic.y_px, mitotic.score, mitotic.score,
            np.zeros((n, 8, 8, 3), np.uint8), np.zeros((n, 2, 4), np.float32),
        ).save(loop.candidates(entry.key))  # fmt: skip
        order += [(entry.key, x, y) for x, y in mitotic.points[:3].tolist()]
    loop.write_order(order[::-1])
    return loop


def finish_round(loop, number=1, decisions=12):
    """Write the record of a round."""
    value = {"value": 0.6, "low": 0.5, "high": 0.7}
    scores = {"threshold": 0.5, "f1": value, "precision": value, "recall": value}
    record = {
        "number": number, "created": "2026-01-01T00:00:00+00:00", "decisions": decisions,
        "figures": 4, "slides": 2, "threshold": value, "scores": scores, "before": scores,
        "model_id": "1" * 64, "base_id": "0" * 64, "how": {"depth": "head"}, "seconds": 1.0,
    }  # fmt: skip
    loop.round(number).mkdir(parents=True)
    (loop.round(number) / "round.json").write_text(json.dumps(record))
