from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metaphase.cli import main
from metaphase.errors import InterruptedRunError, ModelFileError, RecipeError
from metaphase.labels.dataset import Case, Dataset
from metaphase.models.modelfile import Model, load_model, load_network, save_model
from metaphase.training.adapt.existing import WORK_NAME, Adaptation, adapt_model, adaptation
from metaphase.training.data.trainingdata import Unlabelled

from ...detection.scenes import make_card
from .scenes import TINY, tiny_network

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def model(tmp_path: Path) -> Model:
    network = tiny_network()
    card = make_card().model_copy(
        update={
            "network": "compact",
            "network_options": {**TINY},
            "input": network.input,
            "head": network.head,
            "normalisation": network.normalisation,
        }
    )
    return save_model(tmp_path / "old", card, weights=network.state_dict())


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "new"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for n in range(3):
        pixels = rng.normal((180, 120, 170), 25, (160, 160, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"n{n}.png")
    return folder


def unlabelled(folder: Path) -> Unlabelled:
    cases = [
        Case(p.stem, image=p, mpp=0.25, scanner="N", labelled=False)
        for p in sorted(folder.glob("*.png"))
    ]
    return Unlabelled(Dataset(cases), {})


def small(method: str = "mean-teacher", **changes: object) -> Adaptation:
    values: dict[str, object] = {"steps": 4, "batch_size": 2, "patch_px": 96, **changes}
    options = ["patches=4"] if method == "adabn" else ["sure=[0.01, 0.005]", "doubt=0.0"]
    return adaptation(method, options, **values)


def test_adabn_changes_statistics_and_no_weight(tmp_path: Path, model: Model, images: Path) -> None:
    adapted = adapt_model(model, unlabelled(images), tmp_path / "a", small("adabn"))
    before, after = load_network(model).state_dict(), load_network(adapted).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("running_" in name for name in changed)
    card = adapted.card
    assert card.name.endswith("adapted to N")
    assert card.scores.entries["adapted"]["from_id"] == model.id
    assert card.training_data[-1]["role"] == "unlabelled"
    assert card.threshold.value == model.card.threshold.value
    assert "before the model was adapted" in card.threshold.protocol
    assert card.domains is not None
    assert [domain.name for domain in card.domains.domains] == ["N"]
    assert adapt_model(model, unlabelled(images), tmp_path / "a", small("adabn")).id == adapted.id
    with pytest.raises(ModelFileError, match="another model"):
        adapt_model(model, unlabelled(images), tmp_path / "a", small("adabn", seed=1))


def test_teaching_that_was_interrupted_gives_the_same_model(
    tmp_path: Path, model: Model, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metaphase.training.adapt.existing._KEEP_EVERY", 1)
    whole = adapt_model(model, unlabelled(images), tmp_path / "whole", small())

    torch.set_num_threads(1)  # running the model has set it to all cores

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedRunError, match="resumes"):
        adapt_model(model, unlabelled(images), tmp_path / "parts", small(), progress=stop)
    assert (tmp_path / "parts" / WORK_NAME / "state.pt").is_file()
    parts = adapt_model(model, unlabelled(images), tmp_path / "parts", small())
    assert not (tmp_path / "parts" / WORK_NAME).exists()
    a, b = load_network(whole).state_dict(), load_network(parts).state_dict()
    assert all(torch.equal(a[name], b[name]) for name in a)
    first = load_network(model).state_dict()
    assert any(not torch.equal(a[name], first[name]) for name in a)


def test_what_cannot_be_done_is_told(tmp_path: Path, model: Model, images: Path) -> None:
    with pytest.raises(RecipeError, match="needs labels"):
        adaptation("worst-domain")
    with pytest.raises(RecipeError, match="no method 'x'"):
        adaptation("x")
    with pytest.raises(RecipeError, match="not a known key"):
        adaptation("adabn", ["sure=1"])
    with pytest.raises(ModelFileError, match="is the model itself"):
        adapt_model(model, unlabelled(images), model.folder, small("adabn"))


def test_the_command(
    tmp_path: Path, model: Model, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masked = tmp_path / "m.json"
    masked.write_text('{"painted": {"n0.png": [[0, 0, 30, 30]]}}')
    words = ["adapt", str(images), "--model", str(model.folder), "--out", str(tmp_path / "a")]
    more = [
        "--mpp",
        "0.25",
        "--scanner",
        "N",
        "--masked",
        str(masked),
        "--method-option",
        "patches=4",
    ]
    with pytest.raises(SystemExit) as ended:
        main([*words, *more])
    assert ended.value.code == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(tmp_path / "a")
    assert "chosen before" in told.err
    adapted = load_model(tmp_path / "a")
    assert adapted.card.scores.entries["adapted"]["images"] == ["n0", "n1", "n2"]
    assert adapted.card.scores.entries["adapted"]["masked_places"] == 1
