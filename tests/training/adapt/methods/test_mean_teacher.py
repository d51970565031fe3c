from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metaphase.models.networks import Network
from metaphase.training.adapt.methods.mean_teacher import MeanTeacher, TeacherOptions, confidence
from metaphase.training.recipe.recipe import Recipe
from tests.training.adapt.scenes import TWO, setting, step_of, unlabelled


def teacher(recipe: Recipe, network: Network, **options: object) -> MeanTeacher:
    chosen = TeacherOptions.model_validate({"method": "mean-teacher", **options})
    return MeanTeacher(chosen, setting(recipe, network))


def sure_of(method: MeanTeacher, score: float) -> None:
    """Make the teacher see one figure in the middle of every patch, of this score."""
    logit = float(torch.logit(torch.tensor(score)))

    def say(tiles: torch.Tensor) -> tuple[torch.Tensor, ...]:
        side = tiles.shape[1] // 8
        logits = torch.full((len(tiles), 1, side, side), -9.0)
        logits[:, :, side // 2, side // 2] = logit
        return logits, torch.zeros(len(tiles), 2, side, side)

    method.teacher.forward = say  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("score", "progress", "figures", "left_out"),
    [(0.9, 0.0, 1, 0), (0.6, 0.0, 0, 1), (0.6, 1.0, 1, 0), (0.1, 1.0, 0, 0)],
    ids=["sure", "doubted at first", "believed later", "background"],
)
def test_what_the_teacher_says(
    recipe: Recipe, network: Network, score: float, progress: float, figures: int, left_out: int
) -> None:
    method = teacher(recipe, network)
    sure_of(method, score)
    (said,) = method.labels(unlabelled(1), progress, 0.5)
    assert len(said["points"]) == len(said["labels"]) == len(said["boxes"]) == figures
    assert len(said["ignore"]) == left_out
    if figures:
        assert said["points"].tolist() == [[52.0, 52.0]]


def test_masked_places_are_no_figures_and_no_background(recipe: Recipe, network: Network) -> None:
    method = teacher(recipe, network)
    sure_of(method, 0.99)
    (said,) = method.labels(unlabelled(1, ignore=[[40, 40, 60, 60]]), 1.0, 0.5)
    assert len(said["points"]) == 0
    assert said["ignore"].tolist() == [[40, 40, 60, 60]]


def test_the_teacher_teaches_only_later_in_a_run(recipe: Recipe, network: Network) -> None:
    method = teacher(recipe, network)
    assert "teacher" not in method.losses(step_of(network, TWO, unlabelled(), progress=0.1))
    assert "teacher" in method.losses(step_of(network, TWO, unlabelled(), progress=0.9))


def test_the_teacher_follows_slowly_and_is_not_trained(recipe: Recipe, network: Network) -> None:
    method = teacher(recipe, network, decay=0.9)
    assert not any(p.requires_grad for p in method.parameters())
    assert not method.train().teacher.training
    before = method.teacher.score.bias.clone()  # type: ignore[union-attr,operator]
    with torch.no_grad():
        network.score.bias += 1.0  # type: ignore[operator,union-attr]
    method.after_step(network)
    torch.testing.assert_close(method.teacher.score.bias, before + 0.1)  # type: ignore[union-attr]


def test_confidence_is_relative_to_the_operating_point() -> None:
    assert [confidence(c, 0.3) for c in (0, 0.5, 1)] == pytest.approx([0, 0.3, 1])
    assert confidence(0.75, 0.3) == pytest.approx(0.65)


def test_sure_is_above_doubt() -> None:
    with pytest.raises(ValueError, match="between doubt and 1"):
        TeacherOptions(method="mean-teacher", doubt=0.6)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.99))
def test_confidence_rises_from_0_to_1(a: float, b: float, point: float) -> None:
    low, high = sorted((a, b))
    assert 0 <= confidence(low, point) <= confidence(high, point) + 1e-12 <= 1 + 1e-9
    assert confidence(0.5, point) == pytest.approx(point)


@pytest.mark.parametrize("sure", [(0.2, 0.6), (0.6, 0.2), (1.0, 0.6), (0.25, 0.25)])
def test_both_ends_of_the_confidence_lie_between_doubt_and_1(sure: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="between doubt and 1"):
        TeacherOptions(method="mean-teacher", sure=sure)


def test_the_weight_of_the_teacher_grows_over_the_run(recipe: Recipe, network: Network) -> None:
    method = teacher(recipe, network.eval(), begin=0.2, weight=1.0)
    parts = [
        float(method.losses(step_of(network, TWO, unlabelled(), progress=p))["teacher"].detach())
        for p in (0.3, 0.4, 1.0)
    ]
    assert parts[1] == pytest.approx(2 * parts[0], rel=1e-4)  # half way up, and at the top
    assert parts[2] == pytest.approx(parts[1], rel=0.05)


def test_a_finished_model_is_taught_from_the_first_step(recipe: Recipe, network: Network) -> None:
    method = teacher(recipe, network)
    step = step_of(network, TWO, unlabelled(), progress=0.0)
    step.images = None
    assert "teacher" in method.losses(step)


def test_without_unlabelled_patches_there_is_nothing_to_teach(
    recipe: Recipe, network: Network
) -> None:
    method = teacher(recipe, network)
    step = step_of(network, TWO)
    assert method.losses(step) is step.losses


def test_what_the_teacher_labels_is_counted(recipe: Recipe, network: Network) -> None:
    method = teacher(recipe, network)
    sure_of(method, 0.99)
    method.labels(unlabelled(3), 1.0, 0.5)
    assert int(method.counted) == 3
    assert "counted" in method.state_dict()


def test_boxes_have_the_size_of_a_figure(recipe: Recipe, network: Network) -> None:
    method = teacher(recipe, network)
    sure_of(method, 0.99)
    (said,) = method.labels(unlabelled(1), 1.0, 0.5)
    x1, y1, x2, y2 = said["boxes"][0].tolist()
    side = setting(recipe, network).box_um / network.input.mpp
    assert (x2 - x1, y2 - y1) == (side, side)
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == tuple(said["points"][0].tolist())
