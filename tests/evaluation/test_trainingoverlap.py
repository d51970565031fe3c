import io
from dataclasses import replace

import pytest
from rich.console import Console

from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.scoresfile import load_scores, save_scores
from metaphase.evaluation.tables import print_scores
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import load_model, zoo_names
from metaphase.report.page import write_report
from tests.evaluation.scenes import case, found


def scored(**parameters):
    dataset = Dataset([case("a", [(100, 100)]), case("b", [(100, 100)])])
    detections = {
        "a": found("a", [(100, 100)], [0.9], **parameters),
        "b": found("b", [(100, 100)], [0.9], trained_on=False),
    }
    return evaluate(detections, dataset)


def test_a_training_image_is_named_in_table_file_and_report(tmp_path):
    scores = scored(trained_on=True)
    assert scores.trained_on == ("a",)
    assert "trained on 1 of these 2 cases (a)" in scores.training_warning
    text = io.StringIO()
    print_scores(scores, Console(file=text, width=120), per_case=True)
    assert "say nothing about new images" in text.getvalue()
    assert "a (training image)" in text.getvalue()
    save_scores(scores, tmp_path / "s.json")
    assert load_scores(tmp_path / "s.json").trained_on == ("a",)
    write_report([scores, scored()], tmp_path / "r.html", names=["one", "two"])
    page = (tmp_path / "r.html").read_text()
    assert "one: The model was trained on 1 of these 2 cases" in page
    assert page.count("(training images)") == 1


@pytest.mark.parametrize("parameters", [{}, {"trained_on": False}])
def test_other_images_get_no_warning(parameters):
    scores = scored(**parameters)
    assert scores.trained_on == ()
    assert scores.training_warning is None


def test_a_file_of_version_0_1_has_no_list(tmp_path):
    save_scores(scored(trained_on=True), tmp_path / "s.json")
    text = (tmp_path / "s.json").read_text().replace('"trained_on": [\n  "a"\n ],\n', "")
    assert '"trained_on"' not in text
    (tmp_path / "old.json").write_text(text)
    assert load_scores(tmp_path / "old.json").trained_on == ()


@pytest.mark.skipif("compact" not in zoo_names(), reason="the model is not in this checkout")
def test_the_bundled_model_knows_its_training_cases():
    model = load_model("compact", verify=False)
    split = model.card.recipe["data"]["split"]["training"]
    name = split[0].rpartition("/")[2].replace("*", "01")
    dataset = Dataset([case(name, [(100, 100)]), case("somebody elses", [(100, 100)])])
    detections = {
        one.id: found(one.id, [(100, 100)], [0.9]).with_provenance(model_id=model.id)
        for one in dataset
    }
    if model.card.training_images:  # the card lists hashes: they decide
        known = model.card.training_images[0]
        detections[name] = detections[name].with_provenance(image_sha256=known + "0" * 48)
    assert evaluate(detections, dataset).trained_on == (name,)
    other = {id_: one.with_provenance(model_id="f" * 64) for id_, one in detections.items()}
    assert evaluate(other, dataset).trained_on == ()
    assert replace(evaluate(detections, dataset), trained_on=()).training_warning is None
