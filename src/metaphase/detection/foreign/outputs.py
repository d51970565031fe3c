"""The outputs of trial runs of a graph, and which decodings their shapes allow.

A recogniser gets the outputs and returns a ``Fit``, or None where the shapes are others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np

from metaphase.detection.foreign import dense
from metaphase.detection.foreign.choices import Choices
from metaphase.detection.foreign.graph import Port, shape_text
from metaphase.detection.foreign.points import Output
from metaphase.errors import InputError
from metaphase.models.cardbase import Level
from metaphase.models.foreign import ForeignInput
from metaphase.models.foreignkinds import Decoding, Kind


@dataclass(frozen=True, eq=False)
class Trial:
    """One output: its port, its place, and its values for each trial tile, without batch axis."""

    port: Port
    position: int
    batched: bool
    values: tuple[Output, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape for one tile: of the tile with the largest output."""
        return max((v.shape for v in self.values), key=lambda shape: int(np.prod(shape)))

    @property
    def sides(self) -> int:
        """The number of axes for one tile."""
        return self.values[0].ndim

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers."""
        return all(bool((v == np.round(v)).all()) for v in self.values)

    def named(self, *words: str) -> bool:
        """Return whether the name holds one of some words."""
        name = self.port.name.casefold()
        return any(word in name for word in words)

    def __str__(self) -> str:
        batch = ["n"] if self.batched else []
        sides = shape_text(self.shape)[1:-1]
        return f"{self.port.name} [{', '.join([*batch, sides] if sides else batch)}]"


@dataclass(frozen=True)
class Question:
    """What a recogniser needs to know beside the outputs: number of classes, input, choices."""

    classes: int
    spec: ForeignInput
    choices: Choices


@dataclass(frozen=True)
class Fit:
    """Outputs that fit a decoding. ``first_label`` None: found out from the values."""

    decoding: Decoding
    used: tuple[Trial, ...]
    class_axis: Literal["first", "last"] = "last"
    first_label: Literal[0, 1] | None = None
    levels: tuple[Level, ...] = ()


Recogniser = Callable[[Sequence[Trial], Question], Fit | None]


def trials(
    ports: Sequence[Port], runs: Sequence[Sequence[Output]], spec: ForeignInput
) -> list[Trial]:
    """Return the outputs of trial runs. ``runs`` are the outputs for each trial tile.

    Each tile was repeated to fill the batch of the graph. Outputs of three and more axes have the
    batch as first axis, and the shorter ones beside them too (boxes [n, m, 4], scores [n, m]). With
    short outputs only (boxes [m, 4], scores [m]) there is no batch axis.
    """
    arrays = [[np.asarray(run[i]) for run in runs] for i in range(len(ports))]
    counted = [
        "n" in spec.layout and all(v.ndim > 0 and v.shape[0] == spec.batch for v in values)
        for values in arrays
    ]
    long = any(c and values[0].ndim >= 3 for c, values in zip(counted, arrays, strict=True))
    return [
        Trial(
            port, i, counted[i] and long, tuple(v[0] if counted[i] and long else v for v in values)
        )
        for i, (port, values) in enumerate(zip(ports, arrays, strict=True))
    ]


def yolov5(outputs: Sequence[Trial], question: Question) -> Fit | None:
    """One output [boxes, 5 + classes]; further ones of four axes are its raw maps."""
    main = _single(outputs)
    if main is None or main.shape[1] != 5 + question.classes or not main.shape[0]:
        return None
    return Fit("yolov5", (main,), "last", 0)


def yolov8(outputs: Sequence[Trial], question: Question) -> Fit | None:
    """One output [4 + classes, boxes] or [boxes, 4 + classes]."""
    main, width = _single(outputs), 4 + question.classes
    if main is None or 0 in main.shape:
        return None
    if main.shape[0] == width:
        return Fit("yolov8", (main,), "first", 0)
    return Fit("yolov8", (main,), "last", 0) if main.shape[1] == width else None


def rows(outputs: Sequence[Trial], question: Question) -> Fit | None:
    """One output [m, 6] of boxes, scores in [0, 1] and whole class numbers."""
    main = _single(outputs)
    if main is None or main.shape[1] != 6 or not _finished(main, 4, 5, question.classes):
        return None
    return Fit("rows", (main,))


def batch_rows(outputs: Sequence[Trial], question: Question) -> Fit | None:
    """One output [m, 7] of image, boxes, whole class numbers, and scores in [0, 1]."""
    main = _single(outputs)
    alone = main is not None and main.shape[1] == 7 and not main.batched
    if main is None or not alone or question.spec.batch > 1:
        return None
    if not _finished(main, 6, 5, question.classes) or any(v[:, 0].any() for v in main.values):
        return None
    return Fit("batch-rows", (main,))


def boxes(outputs: Sequence[Trial], question: Question) -> Fit | None:
    """Boxes [m, 4], scores [m], labels [m], perhaps the number of those that count."""
    tables = [o for o in outputs if o.sides == 2 and o.shape[1] == 4]
    if len(tables) != 1:
        return None
    box = tables[0]
    count = [o for o in outputs if o.named("num", "count", "valid") and o.values[0].size == 1]
    vectors = [
        o
        for o in outputs
        if o.sides == 1 and o not in count and all(map(_same_rows, o.values, box.values))
    ]
    if len(vectors) != 2 or len(count) > 1:
        return None
    return Fit("boxes", (box, *_scores_and_labels(*vectors), *count))


def class_boxes(outputs: Sequence[Trial], question: Question) -> Fit | None:
    """Boxes [m, 4] and the scores of all classes [m, classes] or [classes, m]."""
    tables = [o for o in outputs if o.sides == 2]
    for box, score in permutations(tables, 2):
        if box.shape[1] != 4 or not box.shape[0] or score.named("box"):
            continue
        if score.shape == (box.shape[0], question.classes):
            return Fit("class-boxes", (box, score), "last", 0)
        if score.shape == (question.classes, box.shape[0]):
            return Fit("class-boxes", (box, score), "first", 0)
    return None


def retinanet(outputs: Sequence[Trial], question: Question) -> Fit | None:
    """Logits [anchors, classes] and regression [anchors, 4] of all levels together."""
    levels = levels_of(question.choices, "retinanet")
    tables = [o for o in outputs if o.sides == 2]
    if len(tables) != 2:
        return None
    total = dense.anchor_count(question.spec, levels)
    for logits, regression in permutations(tables, 2):
        if _named_wrong(logits, regression) or regression.shape != (total, 4):
            continue
        first = _first_channel(logits.shape, total, question.classes)
        if first is not None:
            return Fit("retinanet", (logits, regression), "last", first, levels)
    return None


def retinanet_maps(outputs: Sequence[Trial], question: Question) -> Fit | None:
    """Two maps for each level: [anchors * classes, h, w] and [anchors * 4, h, w]."""
    levels = levels_of(question.choices, "retinanet")
    maps = [o for o in outputs if o.sides == 3]
    if len(maps) != 2 * len(levels) or len(maps) != len(outputs):
        return None
    pairs = [_pair(maps, level, question) for level in levels]
    used = [pair for pair in pairs if pair is not None]
    firsts = {first for _, _, first in used}
    if len(used) != len(levels) or len(firsts) != 1:
        return None
    flat = tuple(trial for logits, regression, _ in used for trial in (logits, regression))
    return Fit("retinanet-levels", flat, "first", firsts.pop(), levels)


def fcos(outputs: Sequence[Trial], question: Question) -> Fit | None:
    """Logits [places, classes], distances [places, 4] and centrality [places, 1]."""
    levels = levels_of(question.choices, "fcos")
    tables = [o for o in outputs if o.sides == 2]
    if len(tables) != 3:
        return None
    total = dense.anchor_count(question.spec, levels)
    for logits, regression in permutations(tables, 2):
        (central,) = (o for o in tables if o not in (logits, regression))
        if central.shape != (total, 1) or regression.shape != (total, 4):
            continue
        if _named_wrong(logits, regression) or central.named("cls", "logit"):
            continue
        first = _first_channel(logits.shape, total, question.classes)
        if first is not None:
            return Fit("fcos", (logits, regression, central), "last", first, levels)
    return None


def heat_map(outputs: Sequence[Trial], question: Question) -> Fit | None:
    """One map [classes, h, w] or [h, w, classes]; for one class also [h, w]."""
    for found in outputs:
        shape = (1, *found.shape) if found.sides == 2 else found.shape
        if len(shape) != 3:
            continue
        if shape[0] == question.classes and _covers(shape[1:], question.spec):
            return Fit("heat-map", (found,), "first", 0)
        if shape[2] == question.classes and _covers(shape[:2], question.spec):
            return Fit("heat-map", (found,), "last", 0)
    return None


def _covers(size: tuple[int, ...], spec: ForeignInput) -> bool:
    """Return whether a map [h, w] lies over the input: with cells that are about square."""
    if min(size) < 2:
        return False
    high, wide = spec.height_px / size[0], spec.width_px / size[1]
    return min(high, wide) >= 0.9 and max(high, wide) <= 1.1 * min(high, wide)


def levels_of(choices: Choices, decoding: Decoding) -> tuple[Level, ...]:
    """Return the levels of raw outputs: those that are stated, or torchvision's.

    Raises InputError where strides and sizes are not of the same number.
    """
    sizes, strides = choices.anchor_sizes, choices.strides
    if strides is None:
        strides = dense.STRIDES if sizes is None else dense.STRIDES[: len(sizes)]
    ratios = choices.aspect_ratios or (1.0,)
    if decoding != "fcos":
        ratios = choices.aspect_ratios or dense.RETINANET_RATIOS
        sizes = sizes or tuple(map(dense.retinanet_sizes, strides))
    sizes = sizes or tuple((stride,) for stride in strides)
    if len(sizes) != len(strides):
        raise InputError.of(
            "import",
            f"there are {len(strides)} strides, but anchor sizes of {len(sizes)} levels",
            way_out="state both: --strides 8,16 --anchor-sizes '32,40;64,80'",
        )
    return dense.anchor_levels(strides, sizes, ratios)


def _single(outputs: Sequence[Trial]) -> Trial | None:
    """Return the only output of two axes; others, as the raw maps of a YOLO, do not matter."""
    tables = [o for o in outputs if o.sides == 2]
    return tables[0] if len(tables) == 1 else None


def _finished(table: Trial, score: int, label: int, classes: int) -> bool:
    """Return whether all rows of a table are detections with a probability and a class number."""
    for values in table.values:
        shown = values[values[:, score] > 0]
        if ((values[:, score] < 0) & (values[:, score] != -1)).any():  # -1 fills rows up
            return False
        number = shown[:, label]
        if (shown[:, score] > 1.01).any() or (number != np.round(number)).any():
            return False
        if ((number < 0) | (number > classes)).any():
            return False
    return True


def _same_rows(vector: Output, table: Output) -> bool:
    return len(vector) == len(table)


def _scores_and_labels(a: Trial, b: Trial) -> tuple[Trial, Trial]:
    """Return which of two outputs holds the scores, and which the labels."""
    for words in (lambda o: "int" in o.port.number, lambda o: o.named("label", "class", "cls")):
        if words(a) != words(b):
            return (b, a) if words(a) else (a, b)
    return (b, a) if a.whole and not b.whole else (a, b)


def _pair(
    maps: Sequence[Trial], level: Level, question: Question
) -> tuple[Trial, Trial, Literal[0, 1]] | None:
    """Return logits and regression of a level, and the channel of the first class."""
    size, each = dense.cells(question.spec, level), len(level.anchors)
    of_level = [o for o in maps if o.shape[1:] == size]
    for logits, regression in permutations(of_level, 2):
        if len(of_level) != 2 or regression.shape[0] != 4 * each:
            continue
        if _named_wrong(logits, regression) or logits.shape[0] % each:
            continue
        extra = logits.shape[0] // each - question.classes
        if extra == 0:
            return logits, regression, 0
        if extra == 1:
            return logits, regression, 1
    return None


def _first_channel(shape: tuple[int, ...], total: int, classes: int) -> Literal[0, 1] | None:
    """Return the channel of the first class: 1 where torchvision's background comes before it."""
    if shape == (total, classes):
        return 0
    return 1 if shape == (total, classes + 1) else None


def _named_wrong(logits: Trial, regression: Trial) -> bool:
    return logits.named("box", "reg", "delta") or regression.named("cls", "logit", "score")


RECOGNISERS: dict[Decoding, Recogniser] = {
    "rows": rows,
    "batch-rows": batch_rows,
    "boxes": boxes,
    "class-boxes": class_boxes,
    "yolov5": yolov5,
    "yolov8": yolov8,
    "retinanet": retinanet,
    "retinanet-levels": retinanet_maps,
    "fcos": fcos,
    "heat-map": heat_map,
}

OF_KIND: dict[Kind, tuple[Decoding, ...]] = {
    "yolo": ("rows", "batch-rows", "boxes", "class-boxes", "yolov5", "yolov8"),
    "retinanet": ("boxes", "rows", "retinanet", "retinanet-levels"),
    "fcos": ("boxes", "rows", "fcos"),
    "points": ("heat-map",),
    "boxes": ("boxes", "rows", "batch-rows", "class-boxes"),
}
"""The decodings of each kind, in the order in which they are tried."""
