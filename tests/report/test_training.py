import pytest

from metaphase.errors import InputError
from metaphase.report.page import write_report
from metaphase.report.training import training_curves
from tests.report.html import page_of

METRICS = """epoch,step,learning_rate,train/loss,val/loss,val/f1
0,10,0.001,2.5,2.7,
1,20,0.0005,1.5,nan,0.4
2,30,0.0001,1.0,1.6,0.6
"""


def test_training_curves(tmp_path):
    (tmp_path / "metrics.csv").write_text(METRICS)
    curves = training_curves(tmp_path)
    assert [(title, names) for title, _, names in curves.charts] == [
        ("Loss", ("train/loss", "val/loss")),
        ("Scores in validation", ("val/f1",)),
        ("Learning rate", ("learning_rate",)),
    ]
    write_report([], tmp_path / "r.html", runs=[curves])
    text = " ".join(page_of(tmp_path / "r.html").words)
    assert "Training of" in text
    assert "val/loss 1.6 at 2" in text


@pytest.mark.parametrize(
    "text", [None, "", "epoch,step\n0,1\n", "epoch,train/loss\n0,x\n", "a\n1\n"]
)
def test_runs_without_curves(tmp_path, text):
    if text is not None:
        (tmp_path / "metrics.csv").write_text(text)
    with pytest.raises(InputError, match=r"metrics\.csv"):
        training_curves(tmp_path)
