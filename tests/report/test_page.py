import re
from dataclasses import replace

import pytest

from metaphase.errors import InputError
from metaphase.evaluation.evaluate import evaluate
from metaphase.labels.dataset import Dataset
from metaphase.report.methods import methods
from metaphase.report.page import write_report
from tests.evaluation.scenes import case, found
from tests.report.html import page_of


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


def test_images_that_were_moved_or_deleted(pictured, tmp_path):
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
