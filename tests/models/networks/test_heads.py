from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metaphase.detection.decode import decode
from metaphase.figures import LABELS, Label
from metaphase.models.networks.base import Target
from metaphase.models.networks.heads import (
    HEADS,
    STRIDE,
    AnchorHead,
    CentreHead,
    Head,
    HeadTargets,
    penalty_reduced_focal_loss,
)
from metaphase.models.options import CompactOptions
from tests.models.networks.scenes import target

CPU = torch.device("cpu")
BOTH = pytest.mark.parametrize("kind", HEADS)


def head_of(kind: str, classes: tuple[Label, ...] = (Label.MITOTIC,), **options: float) -> Head:
    return HEADS[kind](CompactOptions(**options), classes)


def maps_for(head: Head, count: int = 1, logit: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    logits = torch.full((count, len(head.classes), 16, 16), logit, requires_grad=True)
    return logits, torch.zeros(count, head.geometry, 16, 16, requires_grad=True)


# --- what both heads have in common


def test_centre_targets_decode_to_their_points() -> None:
    """Maps painted exactly as the loss wants them give the points back, and a smaller loss."""
    head = head_of("centre", LABELS)
    points, labels = [(37.0, 101.5), (90.25, 20.0)], [0, 1]
    figures = target(points, labels)
    painted = head.targets_of((16, 16), figures, CPU)
    maps = torch.where(painted.figure > 0, 8.0, -8.0)[None], painted.geometry[None]
    found = decode([m.numpy() for m in maps], head.spec, min_score=0.5)[0]
    got = {(x, y, int(c)) for x, y, c in zip(found.x, found.y, found.label, strict=True)}
    assert got == {(*p, c) for p, c in zip(points, labels, strict=True)}
    good = sum(float(v) for v in head.loss(maps, [figures]).values())
    shifted = target([(x + 24, y) for x, y in points], labels)
    assert good < sum(float(v) for v in head.loss(maps, [shifted]).values())
    assert painted.heat.max() <= 1


@BOTH
def test_nothing_is_learnt_where_it_is_ignored(kind: str) -> None:
    head = head_of(kind)
    logits, geometry = maps_for(head)
    blank = target([])
    blank["ignore"] = torch.tensor([[0.0, 0.0, 64.0, 128.0]])
    head.loss((logits, geometry), [blank])["score"].backward()
    assert logits.grad is not None
    assert (logits.grad[..., :8] == 0).all()
    assert (logits.grad[..., 9:] > 0).all()


@BOTH
def test_hard_negatives_weigh_more_where_they_are_background(kind: str) -> None:
    head = head_of(kind, hard_negative_weight=3.0)
    logits, geometry = maps_for(head)
    head.loss((logits, geometry), [target([(68.0, 68.0)], [1])])["score"].backward()
    assert logits.grad is not None
    ratio = float(logits.grad[0, 0, 8, 8] / logits.grad[0, 0, 0, 0])
    assert ratio == pytest.approx(3, rel=0.05)


@BOTH
def test_a_tile_without_figures_has_a_score_loss_only(kind: str) -> None:
    head = head_of(kind)
    parts = head.loss(maps_for(head), [target([])])
    assert set(parts) == {"score", "offset"}
    assert float(parts["offset"].detach()) == 0
    assert float(parts["score"].detach()) > 0


@BOTH
def test_the_loss_is_by_figure_and_not_by_tile(kind: str) -> None:
    """A batch of the same tile twice costs as much as the tile once."""
    head = head_of(kind)
    one = head.loss(maps_for(head), [target([(50.0, 60.0)])])
    two = head.loss(maps_for(head, 2), [target([(50.0, 60.0)])] * 2)
    for name in one:
        assert float(two[name].detach()) == pytest.approx(float(one[name].detach()), rel=1e-5)


@BOTH
def test_the_weight_of_the_offset_multiplies_its_part_alone(kind: str) -> None:
    figures = [target([(50.0, 61.5)])]
    light, heavy = (
        head.loss(maps_for(head), figures)
        for head in (head_of(kind, offset_weight=0.2), head_of(kind, offset_weight=1.0))
    )
    assert float(heavy["score"].detach()) == float(light["score"].detach())
    assert float(heavy["offset"].detach()) == pytest.approx(5 * float(light["offset"].detach()))
    assert float(light["offset"].detach()) > 0


@BOTH
def test_geometry_is_learnt_at_figures_only(kind: str) -> None:
    head = head_of(kind)
    logits, geometry = maps_for(head)
    figures = target([(50.0, 61.5)])
    head.loss((logits, geometry), [figures])["offset"].backward()
    assert geometry.grad is not None
    moved = (geometry.grad != 0).any(dim=1)[0]
    at_figures = head.targets_of((16, 16), figures, CPU).figure.amax(dim=0) > 0
    assert moved.any()
    assert not (moved & ~at_figures).any()


@BOTH
def test_a_score_in_the_right_place_costs_less(kind: str) -> None:
    head = head_of(kind)
    painted = head.targets_of((16, 16), target([(50.0, 60.0)]), CPU)
    geometry = painted.geometry[None]
    right = torch.where(painted.figure > 0, 4.0, -4.0)[None]
    costs = [
        float(head.loss((logits, geometry), [target([(50.0, 60.0)])])["score"])
        for logits in (right, torch.zeros_like(right), -right)
    ]
    assert costs[0] < costs[1] < costs[2]


@BOTH
def test_the_maps_are_described_for_the_decoder(kind: str) -> None:
    head = head_of(kind, LABELS)
    assert head.spec.classes == LABELS
    assert [level.stride for level in head.spec.levels] == [STRIDE]
    logits, geometry = maps_for(head, logit=-9.0)
    maps = [logits.detach().numpy(), geometry.detach().numpy()]
    assert len(decode(maps, head.spec, min_score=0.5)[0]) == 0


# --- centres


class TestCentreHead:
    """A cell of 8 px for every figure, with a bump around it."""

    @staticmethod
    def targets_of(
        where: Target, classes: tuple[Label, ...] = (Label.MITOTIC,), **options: float
    ) -> HeadTargets:
        return CentreHead(CompactOptions(**options), classes).targets_of((16, 16), where, CPU)

    @given(st.floats(0, 127.9), st.floats(0, 127.9))
    def test_the_cell_of_a_figure_holds_its_centre(self, x: float, y: float) -> None:
        painted = self.targets_of(target([(x, y)]))
        cells = torch.nonzero(painted.figure[0]).tolist()
        x, y = target([(x, y)])["points"][0].tolist()  # in single precision
        assert cells == [[int(y / STRIDE), int(x / STRIDE)]]
        (row, column) = cells[0]
        dx, dy = painted.geometry[:, row, column].tolist()
        assert max(abs(dx), abs(dy)) <= 0.5
        assert (column + 0.5 + dx) * STRIDE == pytest.approx(x, abs=1e-4)
        assert (row + 0.5 + dy) * STRIDE == pytest.approx(y, abs=1e-4)
        assert 0 < painted.heat.max() <= 1

    @given(st.floats(-40, -0.1) | st.floats(128, 170), st.floats(-40, 170))
    def test_a_figure_outside_the_tile_is_none_in_it(self, x: float, y: float) -> None:
        painted = self.targets_of(target([(x, y)]))
        assert painted.figure.sum() == 0
        assert not painted.geometry.any()
        assert torch.isfinite(painted.heat).all()

    def test_the_bump_has_the_width_of_the_options(self) -> None:
        """Half as high at 1.18 standard deviations."""
        narrow = self.targets_of(target([(68.0, 68.0)]), sigma_um=2.0, mpp=0.25)
        wide = self.targets_of(target([(68.0, 68.0)]), sigma_um=8.0, mpp=0.25)
        assert narrow.heat[0, 8, 8] == wide.heat[0, 8, 8] == 1
        # One cell further, 8 px of 2 um each, sigma 8 px and 32 px.
        assert float(narrow.heat[0, 8, 9]) == pytest.approx(np.exp(-0.5), rel=1e-5)
        assert float(wide.heat[0, 8, 12]) == pytest.approx(np.exp(-0.5), rel=1e-5)

    def test_neighbouring_bumps_do_not_add_up(self) -> None:
        both = self.targets_of(target([(60.0, 64.0), (68.0, 64.0)]))
        each = [self.targets_of(target([(x, 64.0)])).heat for x in (60.0, 68.0)]
        assert torch.equal(both.heat, torch.maximum(*each))

    def test_each_class_has_a_map_of_its_own(self) -> None:
        painted = self.targets_of(target([(20.0, 20.0), (100.0, 100.0)], [0, 1]), LABELS)
        assert painted.figure.sum(dim=(1, 2)).tolist() == [1, 1]
        assert painted.figure[0, 2, 2] == painted.figure[1, 12, 12] == 1
        assert painted.heat[1, 2, 2] < 0.01

    def test_a_hard_negative_that_is_no_class_is_heavy_background(self) -> None:
        painted = self.targets_of(target([(68.0, 68.0)], [1]), hard_negative_weight=3.0)
        assert not painted.heat.any()
        assert float(painted.weight[0, 8, 8]) == pytest.approx(3)
        assert float(painted.weight.min()) == pytest.approx(1, abs=1e-3)
        lighter = self.targets_of(target([(68.0, 68.0)], [1]), hard_negative_weight=0.0)
        assert float(lighter.weight.min()) >= 1


# --- anchors


class TestAnchorHead:
    """RetinaNet's rules of matching, for one anchor of 50 px at stride 8."""

    @staticmethod
    def targets_of(where: Target, classes: tuple[Label, ...] = (Label.MITOTIC,)) -> HeadTargets:
        head = AnchorHead(CompactOptions(), classes)
        return head.targets_of((16, 16), where, CPU)

    @given(st.floats(0, 127), st.floats(0, 127), st.integers(0, 1))
    def test_every_anchor_of_a_figure_decodes_to_its_point(
        self, x: float, y: float, code: int
    ) -> None:
        head = AnchorHead(CompactOptions(), LABELS).spec
        painted = self.targets_of(target([(x, y)], [code]), LABELS)
        logits = torch.where(painted.figure > 0, 8.0, -8.0)[None]
        found = decode([logits.numpy(), painted.geometry[None].numpy()], head, min_score=0.5)[0]
        assert len(found) >= 1
        np.testing.assert_allclose(found.x, x, atol=1e-3)
        np.testing.assert_allclose(found.y, y, atol=1e-3)
        assert set(found.label.tolist()) == {code}

    def test_anchors_are_matched_by_their_overlap(self) -> None:
        painted = self.targets_of(target([(64.0, 64.0)]))
        side = torch.arange(16) * 8.0 - 64
        across = (50 - side.abs()).clamp(min=0)
        inside = across[:, None] * across[None, :]
        overlap = inside / (2 * 50**2 - inside)
        assert torch.equal(painted.figure[0] > 0, overlap >= 0.5)
        assert torch.equal(painted.weight[0] == 0, (overlap >= 0.4) & (overlap < 0.5))

    def test_a_figure_too_large_for_the_anchor_keeps_the_best_one(self) -> None:
        large = target([(64.0, 64.0)])
        large["boxes"] = torch.tensor([[4.0, 4.0, 124.0, 124.0]])
        painted = self.targets_of(large)
        # All anchors inside the box overlap it alike, by 0.17; none reaches 0.5.
        assert painted.figure[0, 8, 8] == 1
        assert painted.geometry[2, 8, 8] == pytest.approx(np.log(120 / 50), rel=1e-5)

    def test_of_two_near_figures_an_anchor_is_the_nearer_ones(self) -> None:
        painted = self.targets_of(target([(64.0, 64.0), (80.0, 64.0)], [0, 1]), LABELS)
        assert painted.figure[:, 8, 7].tolist() == [1, 0]
        assert painted.figure[:, 8, 11].tolist() == [0, 1]
        assert painted.figure.sum(dim=0).max() == 1

    def test_an_ignored_figure_is_neither(self) -> None:
        figure = target([(64.0, 64.0)])
        figure["ignore"] = figure["boxes"]
        painted = self.targets_of(figure)
        assert painted.weight[0, 8, 8] == 0

    @pytest.mark.parametrize(("anchor_um", "mpp", "side"), [(12.5, 0.25, 50.0), (10.0, 0.5, 20.0)])
    def test_the_side_of_the_anchor_is_in_px_of_the_network(
        self, anchor_um: float, mpp: float, side: float
    ) -> None:
        head = AnchorHead(CompactOptions(anchor_um=anchor_um, mpp=mpp), (Label.MITOTIC,))
        assert head.side == pytest.approx(side)
        assert head.spec.levels[0].anchors == ((side, side),)


# --- the loss of scores


def test_focal_loss_agrees_with_its_formula_and_never_overflows() -> None:
    logits = torch.linspace(-4, 4, 9)
    heat, centre = torch.linspace(0, 0.9, 9), torch.zeros(9)
    p = torch.sigmoid(logits)
    expected = -((1 - heat) ** 4) * p**2 * torch.log(1 - p)
    torch.testing.assert_close(penalty_reduced_focal_loss(logits, heat, centre), expected)
    wild = penalty_reduced_focal_loss(torch.tensor([-1e4, 1e4]), torch.zeros(2), torch.ones(2))
    assert torch.isfinite(wild).all()


@given(st.floats(-30, 30), st.floats(0, 1))
def test_the_penalty_falls_towards_a_figure(logit: float, heat: float) -> None:
    def loss(near: float) -> float:
        one = torch.tensor([logit], dtype=torch.float64)
        return float(penalty_reduced_focal_loss(one, torch.tensor([near]), torch.zeros(1)))

    assert loss(1.0) == 0
    assert 0 <= loss(heat) <= loss(0.0)
