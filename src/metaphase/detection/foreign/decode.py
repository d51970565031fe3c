"""From the outputs of an imported graph to candidates, as the card of the model describes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from metaphase.classnames import label_of
from metaphase.detection.decode import TileCandidates
from metaphase.detection.foreign import boxes, dense, heatmap
from metaphase.detection.foreign.points import Output, Points, not_a_number
from metaphase.detection.foreign.tileinput import to_tile
from metaphase.errors import ModelFileError
from metaphase.models.foreign import ForeignGraph, ForeignInput, ForeignOutput
from metaphase.models.foreignkinds import LEFT_OUT, Decoding

MAX_PER_TILE = 5000
"""Most candidates that are kept of a tile. Raw heads give dozens of boxes for a figure, and all
that are close together are merged later: a lower limit would lose figures."""

Decoder = Callable[[Sequence[Output], ForeignInput, ForeignOutput, float], Points]

DECODERS: dict[Decoding, Decoder] = {
    "yolov5": boxes.yolov5,
    "yolov8": boxes.yolov8,
    "rows": boxes.rows,
    "batch-rows": boxes.batch_rows,
    "boxes": boxes.boxes,
    "class-boxes": boxes.class_boxes,
    "retinanet": dense.retinanet,
    "retinanet-levels": dense.retinanet_levels,
    "fcos": dense.fcos,
    "heat-map": heatmap.heat_map,
}


def decode_foreign(
    outputs: Sequence[Output], foreign: ForeignGraph, tile_px: int, *, min_score: float
) -> list[TileCandidates]:
    """Return the candidates with ``score >= min_score`` of each tile of a batch.

    ``outputs`` are those that the card names, each with the tiles as first axis
    (``ForeignRuntime``). Raises ModelFileError where they do not fit the card or hold NaN.
    """
    decoder = DECODERS[foreign.output.decoding]
    codes = class_codes(foreign.output.classes)
    result = []
    for tile in range(len(outputs[0])):
        try:
            points = decoder([o[tile] for o in outputs], foreign.input, foreign.output, min_score)
            result.append(_candidates(points, codes, foreign.input, tile_px))
        except (ValueError, IndexError, OverflowError) as error:
            shapes = ", ".join(str(list(values.shape)) for values in outputs)
            raise ModelFileError.of(
                "outputs",
                f"the graph returned {shapes}, which is not {foreign.output.decoding}: {error}",
                way_out="import the graph again with 'metaphase import'",
            ) from error
    return result


def class_codes(classes: Sequence[str]) -> list[int]:
    """Return the label code of each class, -1 for one that is left out or has no known name."""
    labels = [None if name.endswith(LEFT_OUT) else label_of(name) for name in classes]
    return [-1 if label is None else label.code for label in labels]


def _candidates(
    points: Points, codes: Sequence[int], spec: ForeignInput, tile_px: int
) -> TileCandidates:
    code = np.array(codes, dtype=np.int8)[points.label]
    keep = code >= 0
    x, y = to_tile(points.x[keep], points.y[keep], tile_px, spec)
    score, label = points.score[keep], code[keep]
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise not_a_number()
    order = np.lexsort((label, x, y, -score))
    capped = len(order) > MAX_PER_TILE
    order = order[:MAX_PER_TILE]
    return TileCandidates(x[order], y[order], score[order], label[order], capped)
