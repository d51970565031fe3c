from typer.testing import CliRunner

from metaphase.cli.report import app
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.scoresfile import save_scores
from tests.evaluation.scenes import random_scene
from tests.report.html import page_of

METRICS = "epoch,step,learning_rate,train/loss\n0,10,0.001,2.5\n1,20,0.0005,1.5\n"


def test_evaluations_and_runs_in_one_file(tmp_path):
    dataset, detections = random_scene(21, cases=6)
    scores = evaluate(detections, dataset)
    save_scores(scores, tmp_path / "s.json")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.csv").write_text(METRICS)
    out = tmp_path / "r.html"
    arguments = [str(tmp_path / "s.json"), str(tmp_path / "run"), "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--name", "mine", "--title", "Mine & yours"])
    assert result.exit_code == 0, result.output
    text = " ".join(page_of(out).words)
    assert "Mine & yours" in text
    save_scores(scores, tmp_path / "run" / "evaluation.json")
    two = CliRunner().invoke(app, [*arguments, "--name", "a", "--name", "b", "--crops", "0"])
    assert two.exit_code == 0
    text = " ".join(page_of(out).words)
    assert "b minus a, on the same cases" in text
    assert "b: Validation scores of the training run run: the threshold was chosen" in text
    (tmp_path / "run" / "evaluation.json").unlink()
    assert CliRunner().invoke(app, [*arguments, "--name", "a", "--name", "b"]).exit_code == 2
