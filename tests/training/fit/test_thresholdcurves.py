from __future__ import annotations

import numpy as np
import pytest
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from metaphase.evaluation.curves import Curve
from metaphase.training.fit.thresholdcurves import log_sweep


def test_tensorboard_gets_the_counts_of_every_threshold(tmp_path):
    curve = Curve(
        threshold=np.array([0.9, 0.55, 0.25]), tp=np.array([1, 2, 3]), fp=np.array([0, 0, 3]),
        truths=4,
    )  # fmt: skip
    board = TensorBoardLogger(tmp_path, name="", version="tb")
    log_sweep([CSVLogger(tmp_path, name="csv"), board], curve, step=7)
    board.experiment.flush()
    events = EventAccumulator(str(tmp_path / "tb")).Reload()

    def at(name):
        (event,) = events.Scalars(name)
        assert event.step == 7
        return event.value

    assert at("threshold f1/0.50") == pytest.approx(4 / 6)
    assert at("threshold precision/0.20") == pytest.approx(0.5)
    assert [at(f"threshold recall/0.{k}0") for k in (2, 3, 9)] == [0.75, 0.5, 0.25]
    (event,) = events.Tensors("validation/precision_recall")
    tp, fp, _, fn, precision, recall = make_ndarray(event.tensor_proto)
    assert (tp[0], fp[0], fn[0]) == (3, 3, 1)
    assert (precision[50], recall[50]) == (1.0, 0.5)
    assert tp[100] == 0
