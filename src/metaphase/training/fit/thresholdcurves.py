"""TensorBoard curves of all thresholds: the scores of every validation at other thresholds.

``threshold f1/0.30``, ``threshold precision/...`` and ``threshold recall/...`` are curves over the
run, one a threshold; ``validation/precision_recall`` is TensorBoard's PR curve, with a slider over
the steps. Detection has no number of true negatives: 0 is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from metaphase.evaluation.curves import Curve

THRESHOLDS = tuple(k / 10 for k in range(1, 10))
_STEPS = 101  # of the PR curve, from threshold 0 to 1


def log_sweep(loggers: Iterable[Any], curve: Curve, step: int) -> None:
    """Write the curves of one validation to TensorBoard's loggers."""
    from pytorch_lightning.loggers import TensorBoardLogger

    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            _write(logger.experiment, curve, step)


def _write(writer: Any, curve: Curve, step: int) -> None:
    for threshold in THRESHOLDS:
        counts = curve.at(threshold)
        for name in ("f1", "precision", "recall"):
            value = getattr(counts, name)
            writer.add_scalar(f"threshold {name}/{threshold:.2f}", value or 0.0, step)
    counts_at = [curve.at(float(t)) for t in np.linspace(0, 1, _STEPS)]
    tp, fp, fn = (np.array([getattr(c, n) for c in counts_at]) for n in ("tp", "fp", "fn"))
    writer.add_pr_curve_raw(
        "validation/precision_recall",
        true_positive_counts=tp,
        false_positive_counts=fp,
        true_negative_counts=np.zeros_like(tp),
        false_negative_counts=fn,
        precision=tp / np.maximum(tp + fp, 1),
        recall=tp / np.maximum(tp + fn, 1),
        global_step=step,
        num_thresholds=_STEPS,
    )
