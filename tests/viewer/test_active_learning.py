"""From a reviewed page to a better detector: what a person decided is what training learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metaphase.detectionfile import load_detections
from metaphase.evaluation.evaluate import evaluate
from metaphase.figures import Detections, Label
from metaphase.labels.read import load_dataset
from metaphase.provenance import Provenance
from metaphase.training.data.load import load_data
from metaphase.training.fit.thresholdselection import detect_cases
from metaphase.training.recipe.recipe import load_recipe
from metaphase.training.train import train
from metaphase.viewer.export import export_folder
from metaphase.viewer.slidecatalogue import find_images, open_slides
from metaphase.viewer.store import WHOLE_SLIDE, Decision, State
from tests.training.dots import RECIPE, SIDE, write_dots

MISSED, FALSE = 2, 3  # of each slide


@pytest.fixture(scope="module")
def dots(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dots")
    write_dots(folder)
    return folder


def a_poor_detector(folder: Path) -> dict[str, Detections]:
    """Finds the figures but for two, and three places between them."""
    found = {}
    for case in load_dataset(folder / "labels.json", images=folder / "images"):
        right = np.array([(f.x_px, f.y_px) for f in case.figures])[MISSED:]
        false = [(10.0, 10.0 + 100 * k) for k in range(FALSE)]
        points = np.concatenate([right, false])
        made = Provenance(
            Path(case.image or "").name, SIDE, SIDE, 0.25, threshold=0.5, model="poor"
        )
        scores = np.linspace(0.6, 0.9, len(points))
        none = np.zeros(len(points), int)
        found[Path(case.image or "").stem] = Detections(*points.T, scores, none, provenance=made)
    return found


@pytest.mark.slow
def test_reviewed_labels_are_trained_on_as_they_are(dots, store, tmp_path):
    slides = open_slides(find_images([dots / "images"]), detections=a_poor_detector(dots), mpp=0.25)
    truth = load_dataset(dots / "labels.json", images=dots / "images")
    for entry in slides:
        case = next(c for c in truth if Path(c.image or "").stem == entry.key)
        known = np.array([(f.x_px, f.y_px) for f in case.figures])
        for figure, row in entry.columns.index.items():
            x, y = entry.columns.points[row].tolist()
            near = np.hypot(*(known - (x, y)).T).min() < 20
            state = State.CONFIRMED if near else State.REJECTED
            store.add(Decision(entry.key, figure, state, "anna", Label.MITOTIC, x, y))
        for number, (x, y) in enumerate(known[:MISSED].tolist()):
            added = Decision(entry.key, f"a-{number}", State.ADDED, "anna", Label.MITOTIC, x, y)
            store.add(added)
        store.add(Decision(entry.key, WHOLE_SLIDE, State.COMPLETE, "anna"))
    export_folder(slides, store, tmp_path / "reviewed")

    # The recipe of a user: the export is the source of labels, and nothing else is told.
    text = RECIPE.replace(
        'labels = "labels.json", images = "images"', 'labels = "reviewed", scanner = "A"'
    )
    (tmp_path / "recipe.toml").write_text(text)
    recipe = load_recipe(tmp_path / "recipe.toml", ["trainer.epochs=12"])
    cases = load_data(recipe).training
    assert cases.count() == truth.select(cases.ids).count()
    assert cases.count(Label.HARD_NEGATIVE) == FALSE * len(cases)

    run = train(recipe, out=tmp_path / "run", show=False)
    from metaphase.models.modelfile import load_model

    reviewed = load_dataset(tmp_path / "reviewed").select(["case3"])
    found = detect_cases(load_model(run / "model"), reviewed, tmp_path / "found", show=False)
    before = evaluate({"case3": a_poor_detector(dots)["case3"]}, reviewed).f1
    after = evaluate(found, reviewed).f1
    assert before is not None
    assert after is not None
    assert after > before
    assert load_detections(tmp_path / "found" / "case3").provenance.model != "poor"
