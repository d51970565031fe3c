"""How the outputs of a graph are decoded: found out from trial runs and from what is stated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NoReturn

import numpy as np

from metaphase.detection.foreign.dense import anchor_count
from metaphase.detection.foreign.graph import Graph
from metaphase.detection.foreign.outputs import (
    OF_KIND,
    RECOGNISERS,
    Fit,
    Question,
    Trial,
    levels_of,
)
from metaphase.detection.foreign.points import Output
from metaphase.errors import ModelFileError
from metaphase.models.foreign import ForeignOutput
from metaphase.models.foreignkinds import BoxFormat, Decoding, ScoreKind

_EXPECTED = {
    "yolo": "[n, boxes, 5 + {k}] (YOLOv5), [n, 4 + {k}, boxes] (YOLOv8, 11, 12), [n, m, 6] with "
    "suppression inside, or boxes, scores and labels",
    "retinanet": "boxes [m, 4], scores [m] and labels [m], or raw logits [n, {anchors}, {k}] and "
    "regression [n, {anchors}, 4]",
    "fcos": "boxes [m, 4], scores [m] and labels [m], or raw logits [n, {places}, {k}], distances "
    "[n, {places}, 4] and centrality [n, {places}, 1]",
    "points": "one map [n, {k}, h, w] or [n, h, w, {k}]",
    "boxes": "boxes [m, 4], scores [m] and labels [m]; [n, m, 6]; or boxes [n, m, 4] and scores "
    "[n, m, {k}]",
}
_BACKGROUND = ("background", "no object", "none", "other")


def recognise_outputs(
    graph: Graph, outputs: Sequence[Trial], classes: Sequence[str], question: Question
) -> tuple[ForeignOutput, tuple[str, ...]]:
    """Return how the outputs are decoded, and what had to be assumed.

    Raises ModelFileError where they do not fit the kind, with the kind or the number of classes
    that they fit.
    """
    fit = _fit(outputs, question)
    if fit is None:
        _refuse(graph, outputs, question)
    _check_values(graph, fit, question)
    scores = question.choices.scores or _score_kind(fit, classes)
    first, assumed = _first_label(graph, fit, question)
    unit = _unit_boxes(fit, question)
    output = ForeignOutput(
        decoding=fit.decoding,
        names=tuple(trial.port.name for trial in fit.used),
        positions=tuple(trial.position for trial in fit.used),
        batched=tuple(trial.batched for trial in fit.used),
        classes=tuple(classes),
        first_label=first,
        class_axis=fit.class_axis,
        scores=scores,
        box_format=question.choices.box_format or _box_format(fit.decoding),
        unit_boxes=unit,
        levels=fit.levels,
    )
    return output, (*assumed, *_unused(outputs, fit))


def _fit(outputs: Sequence[Trial], question: Question) -> Fit | None:
    stated = question.choices.decoding
    decodings = OF_KIND[question.choices.kind] if stated is None else (stated,)
    fits = (RECOGNISERS[name](outputs, question) for name in decodings)
    return next((fit for fit in fits if fit is not None), None)


def _check_values(graph: Graph, fit: Fit, question: Question) -> None:
    for trial in fit.used:
        if any(bool(np.isnan(values).any()) for values in trial.values if values.dtype.kind == "f"):
            raise ModelFileError.of(
                graph.path,
                "gives values that are not numbers (NaN)",
                record=trial.port.name,
                way_out="check --scaling; export a graph in half precision in full precision",
            )
        if question.spec.batch > 1 and not trial.batched:
            raise ModelFileError.of(
                graph.path,
                f"takes {question.spec.batch} tiles, but gives {trial}, without an axis for them",
                way_out="export it for a batch of 1",
            )


def _score_arrays(fit: Fit) -> Iterator[Output]:
    """Yield the scores before they are made probabilities."""
    for values in zip(*(trial.values for trial in fit.used), strict=True):
        main = values[0]
        if fit.decoding in ("yolov5", "yolov8"):
            yield (main if fit.class_axis == "last" else main.T)[:, 4:]
        elif fit.decoding == "rows":
            yield main[:, 4]
        elif fit.decoding == "batch-rows":
            yield main[:, 6]
        elif fit.decoding in ("boxes", "class-boxes"):
            yield values[1]
        elif fit.decoding == "retinanet-levels":
            yield from values[::2]
        else:
            yield main


def _score_kind(fit: Fit, classes: Sequence[str]) -> ScoreKind:
    """Return what the scores are. Values below 0 or above 1 are logits.

    With a class for the background they are softmax.
    """
    outside = any(v.size and (v.min() < -1e-3 or v.max() > 1 + 2e-3) for v in _score_arrays(fit))
    if fit.decoding in ("rows", "batch-rows", "boxes") or not outside:
        return "probability"
    names = {name.rstrip("*").strip().casefold() for name in classes}
    exclusive = fit.decoding in ("heat-map", "class-boxes") and names & set(_BACKGROUND)
    return "softmax" if exclusive else "logit"


def _first_label(
    graph: Graph, fit: Fit, question: Question
) -> tuple[Literal[0, 1], tuple[str, ...]]:
    """Return the number of the first class: stated, seen, or that of torchvision."""
    if fit.first_label is not None:
        return fit.first_label, ()
    if question.choices.first_label is not None:
        return 1 if question.choices.first_label else 0, ()
    seen = _labels_seen(fit)
    classes = question.classes
    if 0 in seen and classes in seen:
        raise ModelFileError.of(
            graph.path,
            f"gives class numbers from 0 to {classes}: {classes + 1} classes, but {classes} are "
            "named",
            way_out="name all of its classes with --classes",
        )
    if 0 in seen:
        return 0, ()
    if classes in seen:
        return 1, ()
    first: Literal[0, 1] = 1 if question.choices.kind in ("retinanet", "fcos") else 0
    return first, (f"classes numbered from {first} (--first-label)",)


def _labels_seen(fit: Fit) -> set[int]:
    labels: set[int] = set()
    for values in zip(*(trial.values for trial in fit.used), strict=True):
        if fit.decoding == "boxes":
            score, label = values[1].reshape(-1), values[2].reshape(-1)
        else:
            columns = (4, 5) if fit.decoding == "rows" else (6, 5)
            score, label = (values[0][:, column] for column in columns)
        labels |= {int(number) for number in label[(score > 0) & np.isfinite(label)]}
    return labels


def _unit_boxes(fit: Fit, question: Question) -> bool:
    """Return whether boxes are shares of the input: none of them reaches beyond 2 pixels."""
    if fit.decoding in ("retinanet", "retinanet-levels", "fcos", "heat-map"):
        return False
    if question.choices.coordinates is not None:
        return question.choices.coordinates == "unit"
    columns = slice(1, 5) if fit.decoding == "batch-rows" else slice(0, 4)
    as_given = fit.class_axis == "last" or fit.decoding == "class-boxes"
    tables = [v if as_given else v.T for v in fit.used[0].values]
    largest = [float(np.abs(table[:, columns]).max()) for table in tables if table.size]
    return bool(largest) and 0 < max(largest) <= 2


def _box_format(decoding: Decoding) -> BoxFormat:
    return "cxcywh" if decoding in ("yolov5", "yolov8") else "xyxy"


def _unused(outputs: Sequence[Trial], fit: Fit) -> tuple[str, ...]:
    rest = [trial.port.name for trial in outputs if trial not in fit.used]
    return (f"outputs not used: {', '.join(rest)}",) if rest else ()


def _refuse(graph: Graph, outputs: Sequence[Trial], question: Question) -> NoReturn:
    kind, k = question.choices.kind, question.classes
    anchors, places = (
        anchor_count(question.spec, levels_of(question.choices, decoding))
        for decoding in ("retinanet", "fcos")
    )
    expected = _EXPECTED[kind].format(k=k, anchors=anchors, places=places)
    if question.choices.decoding is not None:
        expected = f"those of --decoding {question.choices.decoding}"
    way_out = next(_hints(outputs, question), "state another --kind or --classes")
    raise ModelFileError.of(
        graph.path,
        f"its outputs are {', '.join(map(str, outputs))}, which do not fit --kind {kind} with "
        f"{k} {'class' if k == 1 else 'classes'}: {expected}",
        way_out=way_out,
    )


def _hints(outputs: Sequence[Trial], question: Question) -> Iterator[str]:
    """Yield what would fit: other anchors, another kind, or another number of classes."""
    raw = len(outputs) == 2 and {trial.shape[-1:] for trial in outputs} >= {(4,)}
    if question.choices.kind in ("retinanet", "fcos") and raw:
        yield "state --strides, --anchor-sizes and --aspect-ratios if they are not torchvision's"
    for kind, decodings in OF_KIND.items():
        if kind != question.choices.kind and any(
            RECOGNISERS[name](outputs, question) for name in decodings
        ):
            yield f"did you mean --kind {kind}?"
    most = max((max(trial.shape, default=0) for trial in outputs), default=0)
    for number in (*range(1, 13), *range(13, min(most, 400))):
        other = Question(number, question.spec, question.choices)
        if number != question.classes and _fit(outputs, other) is not None:
            yield (
                f"it has {number} {'class' if number == 1 else 'classes'}: name them all with "
                "--classes; end a name in * to leave it out"
            )
    if question.choices.kind in ("retinanet", "fcos"):
        yield "state --strides, --anchor-sizes and --aspect-ratios if they are not torchvision's"
    if any(trial.sides >= 4 for trial in outputs):
        yield "raw maps of YOLO are not decoded: export it with its decoding inside"
