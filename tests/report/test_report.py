import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from metaphase.cli.report import app
from metaphase.errors import InputError
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.intervals import with_intervals
from metaphase.evaluation.scoresfile import save_scores
from metaphase.labels.dataset import Dataset
from metaphase.report.galleries import CROP_PX, Pictures, galleries
from metaphase.report.methods import methods
from metaphase.report.page import write_report
from metaphase.report.training import training_curves
from tests.evaluation.scenes import case, found, random_scene


class Page(HTMLParser):
    """Collects what a page loads, links to, names and says, and whether its tags close."""

    VOID = ("meta", "link", "br", "img", "circle", "image", "rect")

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads, self.open, self.words = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        if "id" in facts:
            self.ids.append(facts["id"])
        if tag == "a":
            self.links.append(facts["href"])
        elif "src" in facts or "href" in facts:
            self.loads.append(facts.get("src") or facts.get("href"))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def scores():
    dataset, detections = random_scene(21, cases=12)
    return with_intervals(evaluate(detections, dataset, protocol="exercise"), resamples=50)


@pytest.fixture
def pictured(tmp_path):
    """A case with pixels: grey, with a dark square where the figure is."""
    pixels = np.full((400, 500, 3), 200, np.uint8)
    pixels[140:160, 290:310] = 20
    Image.fromarray(pixels).save(tmp_path / "a.png")
    # One right, one false, one false and below, one that would find the other figure, and twins.
    places = [(300, 150), (40, 40), (499, 399), (103, 300), (40.1, 90), (40.2, 90)]
    dataset = Dataset([case("a", [(300, 150), (100, 300)], image=tmp_path / "a.png")])
    detections = {"a": found("a", places, [0.9, 0.8, 0.48, 0.4, 0.7, 0.7])}
    return evaluate(detections, dataset)


def page_of(path):
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_one_file_that_loads_nothing_and_whose_links_lead_somewhere(scores, pictured, tmp_path):
    out = tmp_path / "r.html"
    write_report([scores, replace(scores, model="second")], out)
    write_report([pictured], tmp_path / "p.html")
    for path in (out, tmp_path / "p.html"):
        page = page_of(path)
        assert all(address.startswith("data:") for address in page.loads)
        assert len(set(page.ids)) == len(page.ids)
        assert all(link[1:] in page.ids for link in page.links)
        assert "http" not in re.sub(r"data:[^\"]*", "", path.read_text(encoding="utf-8"))


def test_the_numbers_are_on_the_page(scores, tmp_path):
    write_report([scores], tmp_path / "r.html")
    text = " ".join(" ".join(page_of(tmp_path / "r.html").words).split())
    assert f"F1 {scores.f1:.3f}" in text
    assert f"{scores.overall.intervals['f1'].low:.3f} to" in text
    assert scores.worst["scanner"].domain in text
    assert "patches placed by labels: not comparable" in text
    assert "{{" not in text
    for paragraph in methods([scores], [scores.model]):
        assert paragraph in text


def test_models_side_by_side_are_compared(scores, tmp_path):
    write_report([scores, scores], tmp_path / "r.html", names=["one", "two"])
    text = " ".join(page_of(tmp_path / "r.html").words)
    assert "two minus one, on the same cases" in text
    write_report([scores, scores], tmp_path / "r.html")
    assert "hand (2)" in (tmp_path / "r.html").read_text()


def test_a_note_names_the_model_that_it_is_of(scores, tmp_path):
    models = [replace(scores, notes=("of both", "of one")), replace(scores, notes=("of both",))]
    write_report(models, tmp_path / "r.html", names=["A", "B"])
    words = page_of(tmp_path / "r.html").words
    assert "of both" in words
    assert "A: of one" in words
    write_report(models[:1], tmp_path / "r.html", names=["A"])
    assert "of one" in page_of(tmp_path / "r.html").words


def test_galleries_hold_what_they_say(pictured):
    false, missed, border, true = galleries(pictured)
    assert [(p.x_px, p.kind) for p in false.places[:1]] == [(40, "fp")]
    assert [(p.x_px, p.caption) for p in missed.places] == [(100, "best score near it 0.40")]
    assert [p.x_px for p in true.places] == [300]
    assert {p.kind for p in border.places} == {"tp", "fp", "fn", "none"}
    assert "below" in border.places[-1].caption
    assert all(len(g.places) <= 1 for g in galleries(pictured, most=1))


def test_a_missed_figure_tells_the_best_score_near_it():
    dataset = Dataset([case("a", [(100, 100)])])
    scores = evaluate({"a": found("a", [(105, 100)], [0.31])}, dataset)
    assert galleries(scores)[1].places[0].caption == "best score near it 0.31"


def test_crops_are_centred_on_their_place(pictured):
    import base64
    import io

    place = galleries(pictured)[3].places[0]
    address = Pictures().crops([place])[place]
    data = base64.b64decode(address.split(",")[1])
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"), float)
    assert pixels.shape == (CROP_PX, CROP_PX)
    dark = np.argwhere(pixels < 100)
    assert dark.mean(axis=0) == pytest.approx([CROP_PX / 2 - 0.5] * 2, abs=1)
    assert len(dark) == pytest.approx(400, rel=0.15)


def test_images_that_are_elsewhere_or_nowhere(pictured, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "a.png").rename(moved / "a.png")
    problems = write_report([pictured], tmp_path / "r.html")
    assert problems == ["a.png is missing: name the folder of the images with --images"]
    assert "no image" in (tmp_path / "r.html").read_text()
    assert write_report([pictured], tmp_path / "r.html", images=moved) == []


def test_no_detections_no_domains_no_intervals(tmp_path):
    dataset = Dataset([case("a"), case("b")])
    empty = evaluate({"a": found("a"), "b": found("b")}, dataset)
    write_report([empty], tmp_path / "r.html")
    text = " ".join(page_of(tmp_path / "r.html").words)
    assert "F1 -" in text
    with pytest.raises(InputError, match="nothing to report"):
        write_report([], tmp_path / "n.html")


def test_names_from_outside_are_text_and_not_markup(tmp_path):
    dataset = Dataset([case("<b>a</b>", [(9, 9)], scanner="<i>S</i>"), case("b", scanner="&")])
    detections = {
        name: found("x").with_provenance(model="<script>m</script>") for name in dataset.ids
    }
    write_report([evaluate(detections, dataset)], tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "<script>" not in text
    assert "<i>S" not in text
    assert "<b>a<" not in text


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


def test_the_command(scores, tmp_path):
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
    assert "b minus a, on the same cases" in " ".join(page_of(out).words)
    (tmp_path / "run" / "evaluation.json").unlink()
    assert CliRunner().invoke(app, [*arguments, "--name", "a", "--name", "b"]).exit_code == 2


@pytest.mark.needs_data
def test_real_fields(data_dir, tmp_path):
    from metaphase.figures import points_of
    from metaphase.labels.read import load_dataset

    dataset = load_dataset(data_dir / "icpr2012" / "annotations.json")
    dataset = dataset.select(dataset.ids[:2])
    detections = {
        c.id: found(c.id, points_of(c.figures) + 3, [0.9] * c.count(), mpp=c.mpp) for c in dataset
    }
    out = tmp_path / "r.html"
    assert write_report([evaluate(detections, dataset)], out, crops=7) == []
    # Crops in two galleries, and two overviews.
    assert out.read_text().count("data:image/jpeg") == 7 + 7 + 2
