"""Self-training: a mean teacher labels the new scanner's patches (Tarvainen and Valpola 2017).

The teacher is a moving average of the network. It sees each unlabelled patch unchanged; the network
sees it strongly augmented and is trained on the teacher's detections (for detectors: Liu et al.
2021, "Unbiased Teacher"). Detections with high confidence are figures, those with medium confidence
are ignored, the rest is background. The confidence that is needed falls over the run.
"""

from __future__ import annotations

import copy

import torch
from pydantic import Field, model_validator
from torch import Tensor

from metaphase.detection.decode import decode
from metaphase.detection.merge import merge
from metaphase.figures import Label
from metaphase.models.networks import Network
from metaphase.training.adapt.base import Method, Setting, Step, UnlabelledBatch
from metaphase.training.adapt.options import AdaptOptions
from metaphase.training.adapt.registry import register


class TeacherOptions(AdaptOptions):
    """Self-training with a mean teacher and a confidence that falls over the run (Tarvainen and
    Valpola 2017; Liu et al. 2021). Confidences are relative: the operating point is 0.5."""

    sure: tuple[float, float] = Field(
        default=(0.75, 0.55),
        description="Confidence from which the teacher's finds are figures, at the start and at "
        "the end.",
    )
    doubt: float = Field(
        default=0.25, ge=0, le=1, description="Below this confidence a find is background."
    )
    weight: float = Field(
        default=0.5, gt=0, le=1000, description="Weight of the loss after its increase."
    )
    begin: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="Part of a training run after which the teacher begins to teach; its weight "
        "grows over as long again. A finished model is taught from the first step.",
    )
    decay: float = Field(default=0.99, gt=0, lt=1, description="Decay of the teacher's average.")

    @model_validator(mode="after")
    def _ordered(self) -> TeacherOptions:
        if not all(self.doubt < sure < 1 for sure in self.sure):
            raise ValueError("sure is two confidences between doubt and 1")
        return self


@register
class MeanTeacher(Method):
    """Trains a network on the detections of its own average in unlabelled patches."""

    name = "mean-teacher"
    Options = TeacherOptions
    unlabelled = "needed"

    def __init__(self, options: TeacherOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        self.teacher = copy.deepcopy(setting.network).requires_grad_(False).eval()
        self.box_px = setting.box_um / setting.network.input.mpp
        self.radius_px = setting.merge_radius_um / setting.network.input.mpp
        self.counted: Tensor
        self.register_buffer("counted", torch.zeros((), dtype=torch.int64))

    def train(self, mode: bool = True) -> MeanTeacher:
        """Change the mode of everything but the teacher, which is not trained."""
        super().train(mode)
        self.teacher.eval()
        return self

    def losses(self, step: Step) -> dict[str, Tensor]:
        """Add the loss against the teacher's labels."""
        weight = self.options.weight * self._ramp(step)
        if step.unlabelled is None or weight == 0:
            return step.losses
        targets = self.labels(step.unlabelled, step.progress, step.operating_point)
        maps = step.network(step.unlabelled.varied)
        parts = step.network.loss(maps, targets)  # type: ignore[arg-type]
        total = torch.stack(list(parts.values())).sum()
        return {**step.losses, "teacher": weight * total}

    @torch.no_grad()
    def labels(
        self, batch: UnlabelledBatch, progress: float, operating_point: float
    ) -> list[dict[str, Tensor]]:
        """Return the teacher's detections in some patches as targets for a network."""
        first, last = self.options.sure
        sure = confidence(first + (last - first) * progress, operating_point)
        doubt = confidence(self.options.doubt, operating_point)
        arrays = [m.float().cpu().numpy() for m in self.teacher(batch.images)]
        found = decode(arrays, self.teacher.head, min_score=doubt)
        device = batch.images.device
        targets = []
        for candidates, known in zip(found, batch.targets, strict=True):
            kept = merge(
                candidates.x, candidates.y, candidates.score, candidates.label, self.radius_px
            )
            kept = kept[candidates.label[kept] == Label.MITOTIC.code]
            points = torch.tensor(
                [[candidates.x[i], candidates.y[i]] for i in kept], dtype=torch.float32
            ).reshape(-1, 2)
            score = torch.tensor([float(candidates.score[i]) for i in kept])
            masked = known["ignore"].cpu()
            free = ~_inside(points, masked)
            points, score = points[free], score[free]
            figure = score >= sure
            boxes = torch.cat([points - self.box_px / 2, points + self.box_px / 2], dim=1)
            self.counted += int(figure.sum())
            targets.append(
                {
                    "points": points[figure].to(device),
                    "boxes": boxes[figure].to(device),
                    "labels": torch.zeros(int(figure.sum()), dtype=torch.int64, device=device),
                    "ignore": torch.cat([masked, boxes[~figure]]).to(device),
                }
            )
        return targets

    @torch.no_grad()
    def after_step(self, network: Network) -> None:
        """Update the teacher's weights."""
        own = network.state_dict()
        for name, value in self.teacher.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(own[name].to(value), 1 - self.options.decay)
            else:
                value.copy_(own[name])

    def _ramp(self, step: Step) -> float:
        if step.images is None:  # the model was trained before
            return 1.0
        begin = self.options.begin
        length = min(max(begin, 1e-6), 1 - begin)
        return float(min(max((step.progress - begin) / length, 0.0), 1.0))


def confidence(relative: float, operating_point: float) -> float:
    """Return the score of a confidence: 0 is 0, 0.5 the operating point, 1 is 1."""
    if relative <= 0.5:
        return 2 * relative * operating_point
    return operating_point + (2 * relative - 1) * (1 - operating_point)


def _inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Return which points [n] lie in any of the boxes [m, 4]."""
    at = points[:, None]
    within = (at >= boxes[None, :, :2]) & (at <= boxes[None, :, 2:])
    return within.all(dim=2).any(dim=1)
